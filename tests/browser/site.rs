//! The built page, and a server for it.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Our own server under a name that browsers do not trust as they trust the loopback address.
pub const INSECURE_HOST: &str = "insecure.test";

/// The folder of the built page, where there is one.
pub fn dist() -> Option<PathBuf> {
    std::env::var_os("SCOREFIELD_DIST").map(PathBuf::from)
}

/// Serves a folder below `/some/where/` of a free port on the loopback interface, until dropped.
pub struct Site {
    address: SocketAddr,
    closed: Arc<AtomicBool>,
}

impl Site {
    const PREFIX: &str = "/some/where/";

    /// Serves the built page.
    pub fn of_page() -> Self {
        Self::serve(dist().expect("a built page, or this test is ignored"))
    }

    pub fn serve(folder: impl Into<PathBuf>) -> Self {
        Self::serve_altered(folder, |_, bytes| bytes)
    }

    /// Serves the built page from a host that knows the types of pages, scripts and styles only, and sends `other` for all
    /// else, if anything.
    pub fn of_page_with_type(other: Option<&'static str>) -> Self {
        let known = |path: &str| [".html", ".js", ".css"].iter().any(|end| path.ends_with(end));
        let mime = move |path: &str| if known(path) { usual_type(path) } else { other };
        Self::start(dist().expect("a built page, or this test is ignored"), |_, bytes| bytes, mime)
    }

    /// Serves each file as `alter(path below the folder, its bytes if it is there)` says: broken, late, in place of a
    /// missing one, or (`None`) not at all.
    pub fn serve_altered(
        folder: impl Into<PathBuf>,
        alter: impl Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
    ) -> Self {
        Self::start(folder.into(), alter, usual_type)
    }

    fn start(
        folder: PathBuf,
        alter: impl Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>> + Send + Sync + 'static,
        mime: impl Fn(&str) -> Option<&'static str> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port on the loopback interface");
        let address = listener.local_addr().expect("a bound socket has an address");
        let closed = Arc::<AtomicBool>::default();
        let over = closed.clone();
        thread::spawn(move || {
            thread::scope(|scope| {
                for stream in listener.incoming().flatten() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    // The browser may hang up at any time, which is its right.
                    scope.spawn(|| answer(stream, &folder, &alter, &mime).ok());
                }
            });
        });
        Self { address, closed }
    }

    /// The address of a file; `""` is the page itself.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{}{path}", self.address, Self::PREFIX)
    }

    /// The same, as from another machine without HTTPS: browsers then have no WebGPU, no `crypto.subtle`, no cache.
    pub fn insecure_url(&self, path: &str) -> String {
        format!("http://{INSECURE_HOST}:{}{}{path}", self.address.port(), Self::PREFIX)
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        self.closed.store(true, Ordering::Relaxed);
        // Wakes the accepting thread, which then sees that it is over.
        TcpStream::connect(self.address).ok();
    }
}

fn answer(
    stream: TcpStream,
    folder: &Path,
    alter: &impl Fn(&str, Option<Vec<u8>>) -> Option<Vec<u8>>,
    mime: &impl Fn(&str) -> Option<&'static str>,
) -> std::io::Result<()> {
    let mut request = BufReader::new(&stream);
    let mut first = String::new();
    request.read_line(&mut first)?;
    let mut header = String::from("-");
    while !header.trim().is_empty() {
        header.clear();
        request.read_line(&mut header)?;
    }

    let target = first.split(' ').nth(1).unwrap_or("");
    let path = target.split('?').next().unwrap_or("");
    let file = match path.strip_prefix(Site::PREFIX) {
        Some("") => Some("index.html"),
        Some(inside) if !inside.split('/').any(|part| part == "..") => Some(inside),
        _ => None,
    };
    let body = file.and_then(|file| alter(file, fs::read(folder.join(file)).ok()));
    let status = if body.is_some() { "200 OK" } else { "404 Not Found" };
    let body = body.unwrap_or_default();
    let mime = mime(file.unwrap_or("index.html")).map(|mime| format!("Content-Type: {mime}\r\n"));
    let mut stream = &stream;
    write!(
        stream,
        "HTTP/1.1 {status}\r\n{}Content-Length: {}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        mime.unwrap_or_default(),
        body.len()
    )?;
    stream.write_all(&body)
}

/// The type of a file by its name, as a server should send it.
fn usual_type(path: &str) -> Option<&'static str> {
    Some(match Path::new(path).extension().and_then(|extension| extension.to_str()) {
        None | Some("html") => "text/html; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("wasm") => "application/wasm",
        Some("json") => "application/json",
        Some("png") => "image/png",
        Some("svg") => "image/svg+xml",
        Some(_) => "application/octet-stream",
    })
}
