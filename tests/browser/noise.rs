//! The noise that the page asks of the engine: the native one, also while the engine is at work.

use scorefield::rng::{Domain, Noise};
use serde_json::{Value, json};

use super::{harness::Gpu, visit::Visit};
use crate::support::{relative_error, trials};

trials! { cpu: [noise_is_the_native_one_and_does_not_wait_for_a_run] }

fn noise_is_the_native_one_and_does_not_wait_for_a_run() {
    let mut visit = Visit::with(Gpu::None);
    visit.open("#task=about&device=cpu");
    // A seed of more than 32 bits, as the page draws none but a link may have one.
    let seed = 5 + (1 << 40);
    let found = visit.browser.eval(&format!(
        "const {{ open }} = await import('./scorefield.js');
        const engine = await open({{ device: 'cpu' }});
        const noise = [];
        const request = {{ model: 'mnist-vp', sampler: 'heun', options: {{ n_steps: 500 }}, count: 2 }};
        let asked = false;
        const end = await engine.sample(request, {{
            async onProgress() {{
                if (asked) return;
                asked = true;
                noise.push(...(await engine.noise({seed}, 10)));
                engine.cancel();
            }},
        }}).catch(({{ code }}) => code);
        engine.dispose();
        [end, noise, await engine.noise(1, 1).catch(({{ code }}) => code)]"
    ));
    let [end, noise, after]: [Value; 3] = serde_json::from_value(found).expect("three values");
    assert_eq!([end, after], [json!("cancelled"), json!("disposed")]);
    let noise: Vec<f32> = serde_json::from_value(noise).expect("numbers");
    let native = Noise::new(seed).domain(Domain::Corruption).normal(0, 1, 10);
    assert!(relative_error(&noise, &native) < 1e-6, "{noise:?}, natively {native:?}");
    visit.assert_clean();
}
