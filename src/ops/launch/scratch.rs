//! Memory for work that is to take the same every time.

use std::cell::RefCell;

use burn::cubecl::client::Client;
use burn::cubecl::server::Handle;

/// Memory for the results of kernels, with their size in bytes: as many of a size as are in use at the same time.
#[derive(Debug, Default)]
pub struct Scratch {
    buffers: Vec<(usize, Handle)>,
    silent: bool,
}

thread_local! {
    static CURRENT: RefCell<Option<Scratch>> = const { RefCell::new(None) };
}

impl Scratch {
    /// `work`, none of our kernels run: afterwards there is memory for all it launches.
    pub fn rehearse<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.silent = true;
        self.lend(work)
    }

    /// `work` with the results of our kernels in this memory, the same one each time.
    pub fn perform<T>(&mut self, work: impl FnOnce() -> T) -> T {
        self.silent = false;
        self.lend(work)
    }

    fn lend<T>(&mut self, work: impl FnOnce() -> T) -> T {
        /// If the work panics, launches are as usual again.
        struct End;
        impl Drop for End {
            fn drop(&mut self) {
                CURRENT.set(None);
            }
        }
        CURRENT.set(Some(std::mem::take(self)));
        let _end = End;
        let result = work();
        *self = CURRENT.take().expect("it was put there");
        result
    }

    fn take(&mut self, client: &Client, size: usize) -> Handle {
        // Such a buffer is nobody's but this list's and the device's own.
        if let Some((_, free)) = self.buffers.iter().find(|(of, buffer)| *of == size && buffer.can_mut()) {
            return free.clone();
        }
        let new = client.empty(size);
        self.buffers.push((size, new.clone()));
        new
    }
}

/// Memory for a result of `size` bytes.
pub fn take(client: &Client, size: usize) -> Handle {
    CURRENT.with_borrow_mut(|current| match current {
        Some(scratch) => scratch.take(client, size),
        None => client.empty(size),
    })
}

/// Sends a launch on its way, by `send`, unless it is a rehearsal.
pub fn launch(client: &Client, send: impl FnOnce()) {
    let silent = CURRENT.with_borrow(|current| current.as_ref().map(|scratch| scratch.silent));
    if silent != Some(true) {
        send();
    }
    if silent.is_some() {
        // An answer comes after all that was sent before it: from then on the device knows what is in use.
        let _ = client.check([]);
    }
}
