//! A visit to the page, in the words of a visitor: what can be done there, and what is to be read there.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    harness::{Browser, Gpu},
    site::Site,
};

/// How long a run may take: the GPU is software, and other work may keep the processor busy.
pub const PATIENCE: Duration = Duration::from_secs(240);

/// The tasks that run something, as selectors.
pub const GENERATE: &str = "#generate";
pub const EDIT: &str = "#edit";
pub const INTERPOLATE: &str = "#interpolate";

/// A browser and the site it is at.
pub struct Visit {
    pub browser: Browser,
    pub site: Site,
}

/// The bytes that a canvas shows, one per pixel (the models draw in grey).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub width: usize,
    pub height: usize,
    pub pixels: Vec<u8>,
}

impl Picture {
    /// The standard deviation of the pixels: 0 for a blank picture.
    pub fn contrast(&self) -> f64 {
        let mean = |f: &dyn Fn(f64) -> f64| {
            self.pixels.iter().map(|v| f(f64::from(*v))).sum::<f64>() / self.pixels.len() as f64
        };
        let average = mean(&|v| v);
        mean(&|v| (v - average).powi(2)).sqrt()
    }
}

impl Visit {
    pub fn with(gpu: Gpu) -> Self {
        Self::to(Site::of_page(), gpu)
    }

    pub fn to(site: Site, gpu: Gpu) -> Self {
        Self { browser: Browser::launch(gpu), site }
    }

    /// Comes to the page by a link and waits until it is ready, or says why it is not.
    #[track_caller]
    pub fn open(&mut self, hash: &str) {
        let url = self.site.url(hash);
        self.browser.open("about:blank");
        self.browser.open(&url);
        self.ready();
    }

    /// Waits until the engine has started, or an alert is shown.
    #[track_caller]
    pub fn ready(&mut self) {
        self.browser.wait_for(
            "!document.querySelector('#generate form').inert || !document.querySelector('#alert').hidden",
            PATIENCE,
        );
    }

    /// Follows a link within the page. With `run=1` it starts at once.
    #[track_caller]
    pub fn follow(&mut self, hash: &str) {
        // The event that the page reads the link in is a task of its own.
        self.browser.eval(&format!(
            "await new Promise((done) => {{
                addEventListener('hashchange', () => setTimeout(done), {{ once: true }});
                location.hash = {};
            }})",
            json!(hash)
        ));
    }

    #[track_caller]
    pub fn click(&mut self, selector: &str) {
        self.browser.eval(&format!("document.querySelector({}).click()", json!(selector)));
    }

    /// The tasks of the navigation, as selectors of their sections.
    #[track_caller]
    pub fn tasks(&mut self) -> Vec<String> {
        let names =
            "Array.from(document.querySelectorAll('nav [data-task]'), (tab) => '#' + tab.dataset.task)";
        serde_json::from_value(self.browser.eval(names)).expect("names")
    }

    /// Opens a task by its button.
    #[track_caller]
    pub fn turn_to(&mut self, task: &str) {
        self.click(&format!("nav [data-task={}]", &task[1..]));
        assert_eq!(self.browser.eval(&format!("document.querySelector('{task}').hidden")), false);
    }

    /// Starts what the task's controls say.
    #[track_caller]
    pub fn start(&mut self, task: &str) {
        self.click(&format!("{task} .start"));
    }

    /// Waits until nothing runs.
    #[track_caller]
    pub fn wait(&mut self, task: &str) {
        self.browser.wait_for(&format!("!document.querySelector('{task} .start').disabled"), PATIENCE);
    }

    /// Waits until the task's run has ended well.
    #[track_caller]
    pub fn finish(&mut self, task: &str) {
        self.wait(task);
        let progress = self.progress(task);
        assert_eq!(progress, "Done.", "the alert says {:?}", self.alert());
    }

    /// Follows a link that starts a run, and waits for its end.
    #[track_caller]
    pub fn run(&mut self, task: &str, hash: &str) {
        self.follow(hash);
        self.finish(task);
    }

    /// Waits until the run that was started has done some steps and goes on.
    #[track_caller]
    pub fn wait_for_step(&mut self, task: &str, step: usize) {
        let text = format!("document.querySelector('{task} .progress-text').textContent");
        self.browser.wait_for(&format!("+(/^Step (\\d+)/.exec({text})?.[1]) >= {step}"), PATIENCE);
    }

    #[track_caller]
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.browser.eval(&format!("document.querySelector({}).textContent", json!(selector)));
        text.as_str().expect("text").to_owned()
    }

    #[track_caller]
    pub fn progress(&mut self, task: &str) -> String {
        self.text(&format!("{task} .progress-text"))
    }

    /// What the alert says; nothing while it is hidden.
    #[track_caller]
    pub fn alert(&mut self) -> String {
        let text = self.browser.eval("document.querySelector('#alert:not([hidden]) p')?.textContent ?? ''");
        text.as_str().expect("text").to_owned()
    }

    /// Presses the alert's first button.
    #[track_caller]
    pub fn try_again(&mut self) {
        assert_eq!(self.text("#alert button"), "Try again");
        self.click("#alert button");
    }

    /// The sentence about the device in use.
    #[track_caller]
    pub fn device(&mut self) -> String {
        self.text("#device-note")
    }

    /// The number of network evaluations that the figures show.
    #[track_caller]
    pub fn nfe(&mut self, task: &str) -> usize {
        let text = self.browser.eval(&format!(
            "Array.from(document.querySelectorAll('{task} .figures div'))
                .find((row) => row.querySelector('dt').textContent == 'Network evaluations')
                .querySelector('dd').textContent"
        ));
        let text = text.as_str().expect("text").replace(',', "");
        text.parse().unwrap_or_else(|_| panic!("{text:?} is no number of evaluations"))
    }

    #[track_caller]
    pub fn picture(&mut self, canvas: &str) -> Picture {
        let seen = self.browser.eval(&format!(
            "const canvas = document.querySelector('{canvas}');
            const {{ data }} = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            [canvas.width, canvas.height, Array.from(data.filter((_, i) => i % 4 == 0))]"
        ));
        let [width, height, pixels]: [Value; 3] = serde_json::from_value(seen).expect("three values");
        Picture {
            width: serde_json::from_value(width).expect("a width"),
            height: serde_json::from_value(height).expect("a height"),
            pixels: serde_json::from_value(pixels).expect("bytes"),
        }
    }

    /// The grid of generated images.
    #[track_caller]
    pub fn grid(&mut self) -> Picture {
        self.picture("#generate .grid canvas")
    }

    /// From now on remembers what the page asks the engine for, and what it gets.
    #[track_caller]
    pub fn listen(&mut self) {
        self.browser.eval(
            "globalThis.asked = null; globalThis.got = null;
            const { Engine } = await import('./scorefield.js');
            const { sample } = Engine.prototype;
            Engine.prototype.sample = async function (request, hooks) {
                asked = request;
                const result = await sample.call(this, request, hooks);
                got = Array.from(result.images);
                return result;
            };
            0",
        );
    }

    /// The last request for samples and the values of its answer, after [`Self::listen`].
    #[track_caller]
    pub fn heard(&mut self) -> (Value, Vec<f32>) {
        let plain = "(_, value) => (value instanceof Float32Array ? Array.from(value) : value)";
        let request = self.browser.eval(&format!("JSON.parse(JSON.stringify(asked, {plain}))"));
        let images = serde_json::from_value(self.browser.eval("got")).expect("values");
        (request, images)
    }

    #[track_caller]
    pub fn hash(&mut self) -> String {
        let hash = self.browser.eval("location.hash");
        hash.as_str().expect("text").to_owned()
    }

    /// Puts a value into a field as typing does.
    #[track_caller]
    pub fn set(&mut self, selector: &str, value: impl Into<Value>) {
        self.browser.eval(&format!(
            "const field = document.querySelector({});
            field.value = {};
            field.dispatchEvent(new Event('input', {{ bubbles: true }}));
            field.dispatchEvent(new Event('change', {{ bubbles: true }}));",
            json!(selector),
            value.into(),
        ));
    }

    /// Fails on any complaint of page, worker or browser.
    #[track_caller]
    pub fn assert_clean(&mut self) {
        self.browser.assert_console_clean();
        assert_eq!(self.alert(), "");
    }

    /// The complaints must all be of files that the server did not give, each about `file`.
    #[track_caller]
    pub fn assert_only_missing(&mut self, file: &str) {
        let complaints = self.browser.complaints();
        let expected = |text: &str| text.starts_with("status 404 for ") && text.ends_with(file);
        assert!(!complaints.is_empty(), "the browser does not tell that {file} is missing");
        assert!(complaints.iter().all(|complaint| expected(&complaint.text)), "{complaints:#?}");
    }
}

/// What something takes, in seconds.
pub fn seconds<T>(action: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    action();
    start.elapsed().as_secs_f64()
}
