use scorefield::*;
fn main() {
    let mut a = std::env::args().skip(1);
    let (preset, out, steps) = (a.next().unwrap(), a.next().unwrap(), a.next().unwrap().parse().unwrap());
    let mut config = training::TrainConfig::preset(&preset).unwrap();
    config.steps = steps;
    config.data.data_dir = Some(std::path::PathBuf::from(a.next().unwrap()));
    let images = config.data.load().unwrap();
    let opened = device::Opened::cpu("");
    let cancel = cancel::CancelToken::default();
    let c = cancel.clone();
    ctrlc::set_handler(move || c.cancel()).unwrap();
    let folder = training::run::RunFolder(out.into());
    let resume = training::checkpoint::Checkpoint::read(&folder.checkpoint()).ok();
    println!("{:?}", pollster::block_on(training::run::train(&config, &images, &opened, &folder, resume, &cancel)));
}
