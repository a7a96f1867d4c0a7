use burn::tensor::{Device, Tensor};
use scorefield::network::{layers::Init, UNet, UNetConfig};
use burn::optim::{AdamConfig, GradientsParams};
fn main() {
    let d = Device::flex();
    for (ch, mult, blocks, patch, b) in [(32usize, vec![1, 2], 2usize, 2usize, 64usize), (32, vec![1,2], 1, 2, 64), (48, vec![1,2], 1, 2, 64), (16, vec![1, 2, 2], 2, 1, 16)] {
        let cfg = UNetConfig { channels: ch, multipliers: mult.clone(), blocks, patch, ..Default::default() };
        let s = 28 + 4 * (patch == 1) as usize;
        let net = UNet::new(&cfg, 1, 1, &mut Init::new(0, &d));
        use burn::module::Module;
        let x = Tensor::<4>::ones([b, 1, s, s], &d);
        for _ in 0..2 { let t = std::time::Instant::now();
        let y = net.forward(x.clone(), &[0.3], None); let _ = y.into_data();
        println!("{ch} {mult:?} {blocks} params {} fwd {:?} for {b}", net.num_params(), t.elapsed()); }
        let ad = d.clone().autodiff();
        let mut net = UNet::new(&cfg, 1, 1, &mut Init::new(0, &ad));
        let mut opt = AdamConfig::new().init();
        let x = Tensor::<4>::ones([b, 1, s, s], &ad);
        let cn: Vec<f64> = (0..b).map(|i| i as f64 / 64.0).collect();
        for _ in 0..3 { let t = std::time::Instant::now();
        let y = net.forward(x.clone(), &cn, None); let l = (y - 1.0).powf_scalar(2.0).mean();
        let t1 = t.elapsed();
        let g = GradientsParams::from_grads(l.backward(), &net);
        let t2 = t.elapsed();
        net = opt.step(1e-3, net, g);
        println!("  step fwd {t1:?} bwd {:?} opt {:?} = {:.1} img/s", t2 - t1, t.elapsed() - t2, b as f64 / t.elapsed().as_secs_f64()); }
    }
}
