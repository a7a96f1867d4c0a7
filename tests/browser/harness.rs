//! A Chromium that does as a test says and remembers what its console saw.
//!
//! It is spoken to in its DevTools protocol, over the pipe it offers on descriptors 3 and 4
//! (`--remote-debugging-pipe`): JSON texts, each ended by a zero byte. So there is no port to find, no
//! WebSocket, no driver program, and the browser ends when the test does, however the test ends.
//! Workers are attached to before their first line runs, so none of their errors is missed.

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::site::INSECURE_HOST;

/// How long a script may take unless a test says otherwise: a software GPU is slow.
const PATIENCE: Duration = Duration::from_secs(120);

/// A script for the page's worker: the size of its wasm memory. The glue is loaded, and gives the same module again.
pub const WASM_BYTES: &str = "const glue = await import(new URL('../wasm/cpu.js', location.href));
    (await glue.default()).memory.buffer.byteLength";

/// What the browser has for a GPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gpu {
    /// SwiftShader: WebGPU in software, the same on every machine.
    Software,
    /// `requestAdapter` answers `null`, as on a machine without a usable GPU.
    None,
}

/// A line the page or one of its workers left in the console, or an error the browser put there itself.
#[derive(Clone, Debug)]
pub struct Message {
    /// `page` or `worker`.
    pub source: String,
    /// The protocol's word: `log`, `info`, `warning`, `error`, `exception`, …
    pub level: String,
    pub text: String,
}

type Console = Arc<Mutex<Vec<Message>>>;
type Pipe = Arc<Mutex<ChildStdin>>;
/// The sessions of the workers that live, the newest last.
type Workers = Arc<Mutex<Vec<String>>>;

/// One Chromium with one tab, and a profile of its own that goes with it.
pub struct Browser {
    process: Child,
    pipe: Pipe,
    replies: Receiver<Value>,
    session: String,
    console: Console,
    workers: Workers,
    profile: TempDir,
}

impl Browser {
    pub fn launch(gpu: Gpu) -> Self {
        let profile = tempfile::tempdir().expect("a folder for the browser's profile");
        let log = File::create(profile.path().join("log")).expect("a log in the profile's folder");
        let mut command = Command::new("sh");
        // Rust hands over descriptors 0 to 2 only; the shell moves two of them to where Chromium wants them.
        command.args(["-c", r#"exec "$@" 3<&0 4>&1 </dev/null >&2"#, "sh"]);
        command.arg(executable()).args([
            "--headless",
            "--remote-debugging-pipe",
            "--no-sandbox",
            "--no-first-run",
            "--disable-quic",
            "--disable-sync",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
        ]);
        // No other host is there, even where the machine is on a network.
        command.arg(format!(
            "--host-resolver-rules=MAP {INSECURE_HOST} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        ));
        match gpu {
            Gpu::Software => command.args(["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"]),
            Gpu::None => command.arg("--disable-gpu"),
        };
        let mut process = command
            .arg(format!("--user-data-dir={}", profile.path().display()))
            // Or it leaves a folder in /tmp behind.
            .env("TMPDIR", profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .expect("sh starts");

        let pipe = Arc::new(Mutex::new(process.stdin.take().expect("piped")));
        let (console, workers) = (Console::default(), Workers::default());
        let (reply, replies) = channel();
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let reader = Reader { pipe: pipe.clone(), console: console.clone(), workers: workers.clone(), reply };
        thread::spawn(move || reader.run(output));

        let mut browser = Self { process, pipe, replies, session: String::new(), console, workers, profile };
        let target = browser.call("Target.createTarget", json!({"url": "about:blank"}));
        let target = json!({"targetId": target["targetId"], "flatten": true});
        let session = browser.call("Target.attachToTarget", target);
        browser.session = session["sessionId"].as_str().expect("a session").to_owned();
        attend(&browser.pipe, &browser.session);
        browser
    }

    /// One call of the DevTools protocol, to the tab; panics with the browser's words where it fails.
    #[track_caller]
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.call_within(method, params, PATIENCE)
    }

    #[track_caller]
    fn call_within(&mut self, method: &str, params: Value, patience: Duration) -> Value {
        let session = self.session.clone();
        self.call_in(&session, method, params, patience)
    }

    #[track_caller]
    fn call_in(&mut self, session: &str, method: &str, params: Value, patience: Duration) -> Value {
        let id = send(&self.pipe, session, method, params);
        let end = Instant::now() + patience;
        loop {
            let reply = match self.replies.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(reply) => reply,
                Err(RecvTimeoutError::Timeout) => {
                    panic!("no answer to {method} in {patience:?}; the console says {:#?}", self.console())
                }
                Err(RecvTimeoutError::Disconnected) => {
                    let log = fs::read_to_string(self.profile.path().join("log")).unwrap_or_default();
                    // A machine without a desktop has no D-Bus, and Chromium says so in dozens of lines.
                    let lines: Vec<_> = log.lines().filter(|line| !line.contains("ERROR:dbus/")).collect();
                    panic!("Chromium ended at {method}; its log:\n{}", lines.join("\n"))
                }
            };
            if reply["id"] == id {
                assert!(reply["error"].is_null(), "{method}: {}", reply["error"]["message"]);
                return reply["result"].clone();
            }
        }
    }

    /// Loads a page and waits for its `load` event. Where only the fragment differs, nothing is loaded.
    #[track_caller]
    pub fn open(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {}", went["errorText"]);
        let document = &went["loaderId"];
        if !document.is_null() {
            self.until(PATIENCE, url, |browser| {
                browser.call("Page.getFrameTree", json!({}))["frameTree"]["frame"]["loaderId"] == *document
            });
        }
        self.wait_for("document.readyState == 'complete'", PATIENCE);
    }

    /// Loads the page anew, as a visitor who follows a link to it; what it stored is still there.
    #[track_caller]
    pub fn reopen(&mut self) {
        let url = self.eval("location.href");
        self.open("about:blank");
        self.open(url.as_str().expect("an address"));
    }

    /// The value of a script that may use `await`; panics with what it threw.
    #[track_caller]
    pub fn eval(&mut self, script: &str) -> Value {
        self.eval_within(script, PATIENCE)
    }

    #[track_caller]
    pub fn eval_within(&mut self, script: &str, patience: Duration) -> Value {
        let session = self.session.clone();
        self.eval_in(&session, script, patience)
    }

    /// The value of a script in the worker that was started last.
    #[track_caller]
    pub fn eval_in_worker(&mut self, script: &str) -> Value {
        let session = self.workers.lock().expect("unpoisoned").last().expect("a worker").clone();
        self.eval_in(&session, script, PATIENCE)
    }

    /// Bytes that JavaScript holds in the worker that was started last, garbage not counted.
    #[track_caller]
    pub fn worker_heap(&mut self) -> f64 {
        let session = self.workers.lock().expect("unpoisoned").last().expect("a worker").clone();
        self.call_in(&session, "HeapProfiler.collectGarbage", json!({}), PATIENCE);
        let usage = self.call_in(&session, "Runtime.getHeapUsage", json!({}), PATIENCE);
        usage["usedSize"].as_f64().expect("bytes")
    }

    #[track_caller]
    fn eval_in(&mut self, session: &str, script: &str, patience: Duration) -> Value {
        let params = json!({
            "expression": script, "awaitPromise": true, "returnByValue": true, "replMode": true, "userGesture": true,
        });
        let done = self.call_in(session, "Runtime.evaluate", params, patience);
        let thrown = &done["exceptionDetails"];
        assert!(thrown.is_null(), "{script}\nthrew {}", exception(thrown));
        done["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    #[track_caller]
    pub fn wait_for(&mut self, condition: &str, patience: Duration) {
        self.until(patience, condition, |browser| browser.eval(condition) == true);
    }

    #[track_caller]
    fn until(&mut self, patience: Duration, what: &str, mut done: impl FnMut(&mut Self) -> bool) {
        let end = Instant::now() + patience;
        while !done(self) {
            let console = self.console();
            assert!(Instant::now() < end, "not in {patience:?}: {what}\nthe console says {console:#?}");
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Puts files of this machine into a file field.
    #[track_caller]
    pub fn choose_files(&mut self, selector: &str, files: &[&Path]) {
        let expression = format!("document.querySelector({})", json!(selector));
        let field = self.call("Runtime.evaluate", json!({"expression": expression}));
        let field = &field["result"]["objectId"];
        self.call("DOM.setFileInputFiles", json!({"objectId": field, "files": files}));
    }

    /// Presses and releases a key as the visitor would; `code` is its number in `KeyboardEvent.keyCode`.
    #[track_caller]
    pub fn press(&mut self, key: &str, code: u32) {
        let text = if key == "Enter" {
            "\r"
        } else if key.chars().count() == 1 {
            key
        } else {
            ""
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event =
                json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", event);
        }
    }

    pub fn resize(&mut self, width: u32, height: u32) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.call("Emulation.setDeviceMetricsOverride", size);
    }

    /// A PNG of the whole page.
    pub fn screenshot(&mut self, file: &Path) {
        let picture = self.call("Page.captureScreenshot", json!({"captureBeyondViewport": true}));
        let picture = picture["data"].as_str().expect("a picture");
        let picture = BASE64_STANDARD.decode(picture).expect("base64");
        fs::write(file, picture).expect("a place for the screenshot");
    }

    /// Everything the console has seen so far.
    pub fn console(&self) -> Vec<Message> {
        self.console.lock().expect("unpoisoned").clone()
    }

    /// What page, workers and browser complained about so far; forgets everything the console has seen.
    pub fn complaints(&mut self) -> Vec<Message> {
        let mut messages = std::mem::take(&mut *self.console.lock().expect("unpoisoned"));
        messages.retain(|message| ["error", "exception", "assert", "crash"].contains(&&*message.level));
        messages
    }

    /// Panics if there are [`Self::complaints`].
    #[track_caller]
    pub fn assert_console_clean(&mut self) {
        let complaints = self.complaints();
        assert!(complaints.is_empty(), "the console has errors: {complaints:#?}");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Asked to leave, Chromium takes its children along; killed, it might leave some behind.
        send(&self.pipe, "", "Browser.close", json!({}));
        for _ in 0..50 {
            if let Ok(Some(_)) = self.process.try_wait() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// `$CHROMIUM`, or the first of the usual names on the path.
fn executable() -> PathBuf {
    if let Some(path) = std::env::var_os("CHROMIUM") {
        return path.into();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .flat_map(|name| std::env::split_paths(&folders).map(move |folder| folder.join(name)))
        .find(|file| file.is_file())
        .expect("no Chromium on the path: run `make test`, which installs it, or set CHROMIUM to its program")
}

/// Sends a call and returns its number; whoever wants the reply waits for that number.
fn send(pipe: &Pipe, session: &str, method: &str, params: Value) -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    let mut call = json!({"id": id, "method": method, "params": params});
    if !session.is_empty() {
        call["sessionId"] = session.into();
    }
    // A browser that is gone is noticed by the reader, and told with its log.
    pipe.lock().expect("unpoisoned").write_all(format!("{call}\0").as_bytes()).ok();
    id
}

/// Listens to the console of a tab or worker and of the workers it starts, and lets it begin.
fn attend(pipe: &Pipe, session: &str) {
    let workers = json!({"autoAttach": true, "waitForDebuggerOnStart": true, "flatten": true});
    send(pipe, session, "Target.setAutoAttach", workers);
    for domain in ["Inspector", "Log", "Network", "Page", "Runtime"] {
        send(pipe, session, &format!("{domain}.enable"), json!({}));
    }
    send(pipe, session, "Runtime.runIfWaitingForDebugger", json!({}));
}

/// The thread that reads what Chromium writes: it keeps the console and passes replies on.
struct Reader {
    pipe: Pipe,
    console: Console,
    workers: Workers,
    reply: Sender<Value>,
}

impl Reader {
    fn run(self, mut output: impl BufRead) {
        let mut workers = Vec::new(); // all there ever were: their last words can come late
        let mut text = Vec::new();
        while output.read_until(0, &mut text).is_ok_and(|length| length > 0) {
            text.pop();
            let message: Value = serde_json::from_slice(&text).expect("Chromium writes JSON");
            text.clear();
            if message["id"].is_u64() {
                // The test may have ended meanwhile.
                self.reply.send(message).ok();
                continue;
            }
            let params = &message["params"];
            let (level, text) = match message["method"].as_str().unwrap_or("") {
                "Target.attachedToTarget" if params["targetInfo"]["type"] != "page" => {
                    let session = params["sessionId"].as_str().unwrap_or("");
                    self.workers.lock().expect("unpoisoned").push(session.to_owned());
                    workers.push(params["sessionId"].clone());
                    attend(&self.pipe, session);
                    continue;
                }
                "Target.detachedFromTarget" => {
                    let session = params["sessionId"].as_str().unwrap_or("");
                    self.workers.lock().expect("unpoisoned").retain(|worker| worker != session);
                    continue;
                }
                "Runtime.consoleAPICalled" => {
                    let words = params["args"].as_array().into_iter().flatten().map(word);
                    (params["type"].as_str().unwrap_or("log"), words.collect::<Vec<_>>().join(" "))
                }
                "Runtime.exceptionThrown" => ("exception", exception(&params["exceptionDetails"])),
                "Log.entryAdded" => {
                    let entry = &params["entry"];
                    // Workers speak for themselves, and the network below: it alone tells of workers' requests.
                    if entry["source"] == "worker" || entry["source"] == "network" {
                        continue;
                    }
                    let text = format!("{} {}", word(&entry["text"]), word(&entry["url"]));
                    (entry["level"].as_str().unwrap_or("log"), text)
                }
                "Network.requestWillBeSent" if is_elsewhere(&params["request"]["url"]) => {
                    ("error", format!("a request to another host: {}", word(&params["request"]["url"])))
                }
                "Network.responseReceived" if params["response"]["status"].as_u64() >= Some(400) => {
                    let response = &params["response"];
                    ("error", format!("status {} for {}", response["status"], word(&response["url"])))
                }
                "Inspector.targetCrashed" => ("crash", "the page crashed".to_owned()),
                _ => continue,
            };
            let source = if workers.contains(&message["sessionId"]) { "worker" } else { "page" };
            let message = Message { source: source.to_owned(), level: level.to_owned(), text };
            self.console.lock().expect("unpoisoned").push(message);
        }
    }
}

/// Whether an address names a host (`data:` and `blob:` do not) that is not ours.
fn is_elsewhere(url: &Value) -> bool {
    let host = url.as_str().unwrap_or("").split_once("://").filter(|(scheme, _)| !scheme.contains(':'));
    host.is_some_and(|(_, host)| !host.starts_with("127.0.0.1:") && !host.starts_with(INSECURE_HOST))
}

/// One argument of a console call, as text.
fn word(argument: &Value) -> String {
    match (&argument["value"], &argument["description"], argument) {
        (Value::String(text), _, _) | (Value::Null, Value::String(text), _) | (_, _, Value::String(text)) => {
            text.clone()
        }
        (Value::Null, _, _) => String::new(),
        (value, _, _) => value.to_string(),
    }
}

/// The stack of an exception, or the little that is known of it.
fn exception(details: &Value) -> String {
    match word(&details["exception"]) {
        text if text.is_empty() => word(&details["text"]),
        text => text,
    }
}
