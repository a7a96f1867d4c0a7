//! The way back: a model of ours as a folder of `diffusers`, where its layouts can express it.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::f64::consts::{SQRT_2, TAU};

use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

use super::diffusers::{ByPlace, SampleSize, UNet2DModel};
use super::scheduler::Scheduler;
use super::state::transposed;
use super::unet::{Layers, Part, transfer};
use super::{Trained, Values};
use crate::network::layers::Embedding;
use crate::network::{Resampling, UNetConfig};
use crate::weights::{Architecture, ModelFile};
use crate::{Error, Result};

impl ModelFile {
    /// The model as a folder of `diffusers`: names and contents of its files.
    ///
    /// # Errors
    /// [`Error::Weights`] says what of the model no layout there has.
    pub fn to_diffusers(&self) -> Result<Vec<(&'static str, Vec<u8>)>> {
        let card = &self.card;
        let refuse = |what: &str| -> Error {
            let fix = "train a network in the style of a published one, as `import` makes it";
            Error::weights(&card.name, format!("has no form in diffusers ({what})"), fix)
        };
        let (Architecture::Score { network, preconditioning }, Some(sde)) = (&card.architecture, card.sde)
        else {
            return Err(refuse("it is a classifier"));
        };
        let config = network.as_unet().ok_or_else(|| refuse("its network is no U-Net"))?;
        let trained = Trained { sde, preconditioning: *preconditioning, range: card.range };
        let scheduler = Scheduler::of(&trained).ok_or_else(|| refuse("its diffusion or preconditioning"))?;
        let timestep = trained.timestep();
        let model = UNet2DModel::of(config, card.shape(), timestep)
            .ok_or_else(|| refuse("the style of its network"))?;

        let mut layers = Export { ours: &self.weights, theirs: BTreeMap::new(), places: HashMap::new() };
        let output_skip = config.style.output_skip;
        let mut names = ByPlace { old: false, blocks: config.blocks, output_skip };
        transfer(config, &mut names, &mut layers, output_skip)?;
        if config.style.class_table {
            layers.copy("time.table", "class_embedding.weight")?;
        }
        layers.check_whole().map_err(|weight| refuse(&format!("its weight {weight}")))?;
        let mut theirs = layers.theirs;
        if let Embedding::Frequencies { values } = &config.embedding
            && model.time_embedding_type == "fourier"
        {
            let data: Vec<f32> = values.iter().map(|value| (value / TAU) as f32).collect();
            theirs.insert("time_proj.weight".into(), Values { shape: vec![data.len()], data });
        }
        let text = |value: Value| serde_json::to_vec_pretty(&value).unwrap_or_default();
        let pipeline = match trained.is_consistency() {
            true => "ConsistencyModelPipeline",
            false if model.time_embedding_type == "fourier" => "ScoreSdeVePipeline",
            false => "DDPMPipeline",
        };
        let [unet, scheduler_class] = [("diffusers", "UNet2DModel"), ("diffusers", &scheduler.class_name)];
        let index = json!({"_class_name": pipeline, "unet": unet, "scheduler": scheduler_class});
        Ok(vec![
            ("unet/config.json", text(model.as_file())),
            ("unet/diffusion_pytorch_model.safetensors", serialize(&card.name, &theirs)?),
            ("scheduler/scheduler_config.json", text(json!(scheduler))),
            ("model_index.json", text(index)),
        ])
    }
}

fn serialize(name: &str, tensors: &BTreeMap<String, Values>) -> Result<Vec<u8>> {
    let failed =
        |e: safetensors::SafeTensorError| Error::weights(name, e.to_string(), "report this as a bug");
    let views = tensors.iter().map(|(tensor, Values { shape, data })| {
        Ok((tensor, TensorView::new(Dtype::F32, shape.clone(), bytemuck::cast_slice(data))?))
    });
    let views = views.collect::<std::result::Result<Vec<_>, _>>().map_err(failed)?;
    // PyTorch's loaders ask for it.
    let metadata = HashMap::from([("format".to_owned(), "pt".to_owned())]);
    safetensors::serialize(views, Some(metadata)).map_err(failed)
}

impl UNet2DModel {
    /// The configuration of a network of ours for images of this shape, that reads `timestep` times our noise level; `None`
    /// for one that `UNet2DModel` cannot be.
    fn of(config: &UNetConfig, [c, h, w]: [usize; 3], timestep: f64) -> Option<Self> {
        let style = &config.style;
        let resnets = matches!(style.resampling, Resampling::Block { .. });
        let kind =
            |level: usize, end: &str| match (config.attention_levels.contains(&level), style.output_skip) {
                (true, true) => format!("AttnSkip{end}Block2D"),
                (false, true) => format!("Skip{end}Block2D"),
                (true, false) => format!("Attn{end}Block2D"),
                (false, false) if resnets => format!("Resnet{end}sampleBlock2D"),
                (false, false) => format!("{end}Block2D"),
            };
        let levels = config.multipliers.len();
        let (time_embedding_type, freq_shift) = match &config.embedding {
            Embedding::Positional => ("positional", 1.0),
            Embedding::Frequencies { .. } if style.features.is_some() => ("fourier", 0.0),
            Embedding::Frequencies { .. } => ("positional", 0.0),
            Embedding::Fourier { .. } => return None,
        };
        let rescaled_middle = style.rescaled_middle.unwrap_or(style.rescaled);
        let model = Self {
            block_out_channels: config.multipliers.iter().map(|m| m * config.channels).collect(),
            down_block_types: (0..levels).map(|level| kind(level, "Down")).collect(),
            up_block_types: (0..levels).rev().map(|level| kind(level, "Up")).collect(),
            layers_per_block: config.blocks,
            add_attention: style.attends_in_the_middle,
            attention_head_dim: style.head_channels,
            attn_norm_num_groups: if resnets { style.groups.number } else { None },
            norm_num_groups: style.groups.number,
            norm_eps: style.groups.epsilon,
            center_input_sample: style.centres,
            downsample_padding: if let Resampling::Conv { pad } = style.resampling { pad } else { 1 },
            downsample_type: if resnets && !style.output_skip { "resnet" } else { "conv" }.into(),
            resnet_time_scale_shift: if style.scale_shift { "scale_shift" } else { "default" }.into(),
            time_embedding_type: time_embedding_type.into(),
            flip_sin_to_cos: false,
            freq_shift,
            mid_block_scale_factor: if rescaled_middle { SQRT_2 } else { 1.0 },
            num_class_embeds: style.class_table.then_some(config.classes),
            class_embed_type: None,
            act_fn: "silu".into(),
            sample_size: Some(if h == w { SampleSize::Side(h) } else { SampleSize::Sides([h, w]) }),
            in_channels: c,
            out_channels: c,
        };
        // Whatever the layout has no word for comes back as something else.
        let back = model.network().ok()?;
        let same = match (&back.embedding, &config.embedding) {
            (Embedding::Frequencies { values }, Embedding::Frequencies { values: ours }) => {
                let near = |a: f64, b: f64| (a * timestep - b).abs() <= 1e-9 * b.abs();
                values.len() == ours.len() && values.iter().zip(ours).all(|(a, b)| near(*a, *b))
            }
            // Those are stored.
            (Embedding::Fourier { .. }, _) => true,
            (theirs, ours) => theirs == ours,
        };
        let embedding = config.embedding.clone();
        (same && UNetConfig { embedding, ..back } == *config).then_some(model)
    }

    /// As `config.json` has it.
    fn as_file(&self) -> Value {
        let mut value = json!(self);
        let more = json!({
            "_class_name": "UNet2DModel",
            "mid_block_type": "UNetMidBlock2D",
            "upsample_type": self.downsample_type,
            "dropout": 0.0,
        });
        if let (Some(fields), Value::Object(more)) = (value.as_object_mut(), more) {
            fields.extend(more);
        }
        value
    }
}

/// Our weights on their way to theirs.
struct Export<'a> {
    ours: &'a HashMap<String, Values>,
    theirs: BTreeMap<String, Values>,
    /// Where each of our weights went.
    places: HashMap<String, String>,
}

impl Export<'_> {
    fn take(&mut self, ours: &str, theirs: &str) -> Result<Values> {
        let Some(values) = self.ours.get(ours) else {
            let fix = "use the file with the version that wrote it";
            return Err(Error::weights(ours, "is missing among the weights", fix));
        };
        self.places.insert(ours.into(), theirs.into());
        Ok(values.clone())
    }

    fn copy(&mut self, ours: &str, theirs: &str) -> Result<()> {
        let values = self.take(ours, theirs)?;
        self.theirs.insert(theirs.into(), values);
        Ok(())
    }

    /// The weight that went nowhere, if there is one.
    fn check_whole(&self) -> std::result::Result<(), String> {
        let placed: HashSet<&String> = self.places.keys().collect();
        self.ours.keys().find(|ours| !placed.contains(ours)).cloned().map_or(Ok(()), Err)
    }

    /// `[k·k·c_in, c_out]` becomes `[c_out, c_in, k, k]`.
    fn window(&mut self, ours: &str, theirs: &str, k: usize) -> Result<()> {
        let [from, to] = [ours, theirs].map(|layer| format!("{layer}.weight"));
        let Values { shape, data } = self.take(&from, &to)?;
        let (area, c_out) = (k * k, shape[1]);
        let c_in = shape[0] / area;
        // The taps go last: `[c_in·k·k, c_out]`, and its transpose is theirs.
        let row = |i: usize, tap: usize| &data[(tap * c_in + i) * c_out..][..c_out];
        let rows: Vec<f32> =
            (0..c_in).flat_map(|i| (0..area).flat_map(move |tap| row(i, tap).iter().copied())).collect();
        let data = transposed([c_in * area, c_out], &rows);
        self.theirs.insert(to, Values { shape: vec![c_out, c_in, k, k], data });
        self.copy(&format!("{ours}.bias"), &format!("{theirs}.bias"))
    }
}

impl Layers for Export<'_> {
    fn norm(&mut self, ours: &str, theirs: &str) -> Result<()> {
        self.copy(&format!("{ours}.gamma"), &format!("{theirs}.weight"))?;
        self.copy(&format!("{ours}.beta"), &format!("{theirs}.bias"))
    }

    /// All are 3x3, but those by which an image of fewer than nine channels joins a level.
    fn conv(&mut self, ours: &str, theirs: &str) -> Result<()> {
        let rows = self.ours.get(&format!("{ours}.weight")).map_or(0, |weight| weight.shape[0]);
        self.window(ours, theirs, if rows.is_multiple_of(9) { 3 } else { 1 })
    }

    fn dense(&mut self, ours: &str, theirs: &str) -> Result<()> {
        self.side_by_side(ours, &[Part { theirs: theirs.into(), like: None }])
    }

    fn skip(&mut self, ours: &str, theirs: &str) -> Result<()> {
        match self.ours.contains_key(&format!("{ours}.weight")) {
            true => self.window(ours, theirs, 1),
            false => Ok(()),
        }
    }

    fn side_by_side(&mut self, ours: &str, parts: &[Part]) -> Result<()> {
        let weight = self.take(&format!("{ours}.weight"), "")?;
        let bias = self.take(&format!("{ours}.bias"), "")?.data;
        let [rows, columns] = [weight.shape[0], weight.shape[1]];
        let outputs = |part: &Part| -> usize {
            let like = part.like.as_ref().and_then(|like| self.ours.get(&format!("{like}.bias")));
            like.map_or(1, |bias| bias.shape[0])
        };
        let outputs: Vec<usize> = parts.iter().map(outputs).collect();
        let times = columns / outputs.iter().sum::<usize>().max(1);
        let mut from = 0;
        for (part, outputs) in parts.iter().zip(outputs) {
            let width = times * outputs;
            let data = (from..from + width)
                .flat_map(|column| (0..rows).map(move |row| row * columns + column))
                .map(|at| weight.data[at])
                .collect();
            let theirs = &part.theirs;
            self.theirs.insert(format!("{theirs}.weight"), Values { shape: vec![width, rows], data });
            let data = bias[from..from + width].to_vec();
            self.theirs.insert(format!("{theirs}.bias"), Values { shape: vec![width], data });
            from += width;
        }
        Ok(())
    }

    fn negate(&mut self, ours: &str) {
        for end in ["weight", "bias"] {
            let place = self.places.get(&format!("{ours}.{end}"));
            if let Some(values) = place.and_then(|theirs| self.theirs.get_mut(theirs)) {
                values.data.iter_mut().for_each(|value| *value = -*value);
            }
        }
    }
}

impl Scheduler {
    /// The scheduler of a diffusion and a scaling; `None` if `diffusers` has none.
    fn of(trained: &Trained) -> Option<Self> {
        let fields = json!(trained.sde);
        let number = |name: &str| fields[name].as_f64();
        let levels = || fields["levels"].as_u64().map(|levels| levels as usize);
        let (class_name, num_train_timesteps) = match (fields["kind"].as_str()?, trained.is_consistency()) {
            ("ddpm", false) => ("DDPMScheduler", levels()),
            ("vp", false) => ("ScoreSdeVpScheduler", Some(2000)),
            ("ve", false) => ("ScoreSdeVeScheduler", Some(2000)),
            ("edm", true) => ("CMStochasticIterativeScheduler", Some(40)),
            _ => return None,
        };
        let beta_schedule = fields["schedule"].as_str().map(|schedule| match schedule {
            "cosine" => "squaredcos_cap_v2".into(),
            other => other.into(),
        });
        let scheduler = Self {
            class_name: class_name.into(),
            num_train_timesteps,
            beta_schedule,
            beta_start: number("beta_start"),
            beta_end: number("beta_end"),
            trained_betas: None,
            rescale_betas_zero_snr: false,
            prediction_type: (class_name == "DDPMScheduler").then(|| "epsilon".into()),
            beta_min: number("beta_min"),
            beta_max: number("beta_max"),
            sigma_min: number("sigma_min"),
            sigma_max: number("sigma_max"),
            sigma_data: trained.preconditioning.sigma_data(),
        };
        // Whatever it has no word for comes back as something else.
        (scheduler.trained().ok().as_ref() == Some(trained)).then_some(scheduler)
    }
}
