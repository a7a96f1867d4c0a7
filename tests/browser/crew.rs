//! Several workers that draw the images of one run: the same pictures, cancelled as one, and done without where there
//! are none to be had.

use serde_json::{Value, json};

use super::{
    harness::{Browser, Gpu},
    native::TOLERANCE,
    site::Site,
    visit::PATIENCE,
};
use crate::support::{figure, relative_error, trials};

trials! {
    cpu: [
        several_workers_draw_what_one_draws,
        several_workers_stop_as_one,
        one_worker_does_it_all_where_no_other_starts,
    ],
}

/// A page that uses the API by itself, and counts the workers that it starts. Those of them that help load `HELPER`.
struct Page {
    browser: Browser,
    _site: Site,
}

impl Page {
    fn open(helper: &str) -> Self {
        let site = Site::of_page();
        let mut browser = Browser::launch(Gpu::None);
        browser.open(&site.url("#task=about&device=cpu"));
        browser.eval(&format!(
            "const Original = Worker;
            globalThis.workers = 0;
            globalThis.Worker = class extends Original {{
              constructor(url, options) {{
                super(String(url).replace('worker.js?helper', '{helper}'), options);
                workers += 1;
              }}
            }};
            const {{ open }} = await import('./scorefield.js');
            globalThis.start = (threads) => open({{ device: 'cpu', threads }});
            0"
        ));
        Self { browser, _site: site }
    }

    /// What `script` returns.
    fn eval(&mut self, script: &str) -> Value {
        self.browser.eval_within(script, PATIENCE)
    }
}

fn numbers(values: &Value) -> Vec<f32> {
    serde_json::from_value(values.clone()).expect("numbers")
}

fn several_workers_draw_what_one_draws() {
    let mut page = Page::open("worker.js?helper");
    for (sampler, options) in [
        ("pc", json!({"n_steps": 4, "n_corrector": 1})),
        ("ode", json!({"rtol": 0.1, "atol": 0.1})),
        ("heun", json!({"n_steps": 3})),
    ] {
        let request = json!({
            "model": "mnist-vp", "sampler": sampler, "options": options, "seed": 7, "first": 2, "count": 5,
            "preview_every": 1,
        });
        let found = page.eval(&format!(
            "const run = async (threads) => {{
              const engine = await start(threads);
              const steps = [];
              const previews = [];
              const onProgress = ({{ step }}) => steps.push(step);
              const onPreview = ({{ count, images }}) => previews.push([count, images.length]);
              const {{ count, nfe, images }} = await engine.sample({request}, {{ onProgress, onPreview }});
              engine.dispose();
              return {{ count, nfe, images: Array.from(images), steps, previews }};
            }};
            const before = workers;
            const [alone, together] = [await run(1), await run(3)];
            [alone, together, workers - before]"
        ));
        let (alone, together, workers) = (&found[0], &found[1], &found[2]);
        assert_eq!(workers, 1 + 3);
        assert_eq!(alone["count"], 5);
        for field in ["count", "nfe"] {
            assert_eq!(alone[field], together[field], "{sampler}: {field}");
        }
        let [alone_images, images] = [alone, together].map(|run| numbers(&run["images"]));
        let error = relative_error(&images, &alone_images);
        figure(format_args!("{sampler}: images of three workers differ from one's by {error:.1e}"));
        assert!(error < TOLERANCE, "{sampler}: {error:.1e}");
        let steps = together["steps"].as_array().expect("steps");
        assert!(steps.is_sorted_by_key(|step| step.as_u64()), "{sampler}: {steps:?}");
        assert_eq!(steps.last(), alone["steps"].as_array().expect("steps").last(), "{sampler}");
        let previews = together["previews"].as_array().expect("previews");
        assert!(!previews.is_empty() && previews.iter().all(|p| *p == json!([5, 5 * 784])), "{previews:?}");
    }
}

fn several_workers_stop_as_one() {
    let mut page = Page::open("worker.js?helper");
    let request = json!({"model": "mnist-vp", "sampler": "heun", "options": {"n_steps": 500}, "count": 6});
    let found = page.eval(&format!(
        "const engine = await start(3);
        const ends = [];
        for (const stopAfter of [0, 2]) {{
          let step = 0;
          const onProgress = () => {{ if (++step > stopAfter) engine.cancel(); }};
          if (stopAfter === 0) setTimeout(() => engine.cancel(), 50); // the helpers are still on their way
          const end = await engine.sample({request}, {{ onProgress }}).catch(({{ code }}) => code);
          ends.push(end);
        }}
        const short = {{ ...{request}, options: {{ n_steps: 2 }} }};
        const {{ count, nfe }} = await engine.sample(short);
        engine.dispose();
        [...ends, count, nfe]"
    ));
    assert_eq!(found, json!(["cancelled", "cancelled", 6, 3]));
}

fn one_worker_does_it_all_where_no_other_starts() {
    let mut page = Page::open("missing.js");
    let request =
        json!({"model": "mnist-vp", "sampler": "heun", "options": {"n_steps": 3}, "seed": 7, "count": 4});
    let found = page.eval(&format!(
        "const run = async (threads) => {{
          const engine = await start(threads);
          const {{ images }} = await engine.sample({request});
          engine.dispose();
          return Array.from(images);
        }};
        [await run(1), await run(3)]"
    ));
    assert!(found[0] == found[1] && found[0].as_array().expect("values").len() == 4 * 784);
}
