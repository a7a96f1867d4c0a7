use std::collections::HashMap;

use safetensors::tensor::Dtype;

use super::unet::{Layers, Part};
use crate::weights::Precision;
use crate::weights::params::Values;
use crate::weights::pieces::Pieces;
use crate::{Error, Result};

/// Tensors by the names of the code that wrote them, each of which is taken once.
#[derive(Debug)]
pub struct StateDict {
    name: String,
    tensors: HashMap<String, Values>,
    half: bool,
}

const FIX: &str = "check that weights and configuration belong to the same published network";

impl StateDict {
    /// The tensors of a `.safetensors` file whose names begin with `prefix`, without it; `name` is what errors call the
    /// file. A `module.` before every name, which PyTorch's way of training on several devices leaves, goes too.
    ///
    /// # Errors
    /// [`Error::Weights`] for a damaged file, an element type that is no float, or a value that is not finite.
    pub fn parse(name: &str, bytes: &[u8], prefix: &str) -> Result<Self> {
        let mut state = Self::empty(name);
        state.add(&Pieces::of(name, bytes), prefix)?;
        Ok(state)
    }

    /// No tensors yet.
    pub fn empty(name: &str) -> Self {
        Self { name: name.into(), tensors: HashMap::new(), half: true }
    }

    /// Adds the tensors of a file, one of several that the weights are divided into; see [`parse`](Self::parse).
    ///
    /// # Errors
    /// As there.
    pub(super) fn add(&mut self, file: &Pieces<'_>, prefix: &str) -> Result<()> {
        let header = file.header()?;
        let tensors = header.tensors();
        let module = format!("{prefix}module.");
        let prefix = if tensors.keys().all(|tensor| tensor.starts_with(&module)) { &module } else { prefix };
        for (tensor, info) in &tensors {
            if let Some(name) = tensor.strip_prefix(prefix) {
                self.half &= info.dtype == Dtype::F16;
                self.tensors.insert(name.to_string(), file.values(&header, tensor, info)?);
            }
        }
        Ok(())
    }

    /// Half, if all tensors are.
    pub fn precision(&self) -> Precision {
        if self.half { Precision::F16 } else { Precision::F32 }
    }

    /// What errors call the file.
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn has(&self, tensor: &str) -> bool {
        self.tensors.contains_key(tensor)
    }

    /// Whether it has tensors of a part whose name is `part`.
    pub(super) fn has_part(&self, part: &str) -> bool {
        self.tensors.keys().any(|tensor| tensor.strip_prefix(part).is_some_and(|rest| rest.starts_with('.')))
    }

    /// Takes a tensor of `N` dimensions.
    pub(super) fn take<const N: usize>(&mut self, tensor: &str) -> Result<([usize; N], Vec<f32>)> {
        let Some(values) = self.tensors.remove(tensor) else {
            return Err(self.error(format!("lacks the tensor {tensor}")));
        };
        match <[usize; N]>::try_from(values.shape.as_slice()) {
            Ok(shape) => Ok((shape, values.data)),
            Err(_) => {
                let problem = format!("{tensor} has shape {:?}, not {N} dimensions", values.shape);
                Err(self.error(problem))
            }
        }
    }

    /// Drops what is no weight.
    pub(super) fn ignore(&mut self, tensor: &str) {
        self.tensors.remove(tensor);
    }

    /// That nothing is left.
    pub(super) fn finish(self) -> Result<()> {
        match self.tensors.keys().min() {
            None => Ok(()),
            Some(tensor) => Err(self.error(format!("has an unknown tensor {tensor}"))),
        }
    }

    pub(super) fn error(&self, problem: String) -> Error {
        Error::weights(&self.name, problem, FIX)
    }
}

/// A `[rows, columns]` matrix with rows and columns exchanged.
pub(super) fn transposed([rows, columns]: [usize; 2], values: &[f32]) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

/// Takes tensors of a [`StateDict`] to the weights of our layers.
#[derive(Debug)]
pub(super) struct Renamed {
    pub state: StateDict,
    pub weights: HashMap<String, Values>,
}

/// A dense layer with rows for its inputs, as ours are.
pub(super) struct Matrix {
    pub shape: [usize; 2],
    pub weight: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Renamed {
    pub fn new(state: StateDict) -> Self {
        Self { state, weights: HashMap::new() }
    }

    pub fn put(&mut self, ours: String, shape: &[usize], data: Vec<f32>) {
        self.weights.insert(ours, Values { shape: shape.to_vec(), data });
    }

    pub fn vector(&mut self, ours: String, theirs: &str) -> Result<()> {
        let (shape, data) = self.state.take::<1>(theirs)?;
        self.put(ours, &shape, data);
        Ok(())
    }

    pub fn unbiased_conv(&mut self, ours: &str, theirs: &str) -> Result<()> {
        let ([c_out, c_in, k, k_across], window) = self.state.take::<4>(&format!("{theirs}.weight"))?;
        if k != k_across {
            return Err(self.state.error(format!("{theirs}.weight has a window of {k} x {k_across}")));
        }
        // [c_out, c_in·k·k] to [c_in·k·k, c_out], and then the taps go first.
        let area = k * k;
        let rows = transposed([c_out, c_in * area], &window);
        let row = |tap: usize, i: usize| &rows[(i * area + tap) * c_out..][..c_out];
        let weight =
            (0..area).flat_map(|tap| (0..c_in).flat_map(move |i| row(tap, i).iter().copied())).collect();
        self.put(format!("{ours}.weight"), &[area * c_in, c_out], weight);
        Ok(())
    }

    /// A dense layer, `weight` `[out, in]` or `W` `[in, out]` (Score-SDE's `NIN`), or a 1x1 convolution.
    pub fn matrix(&mut self, theirs: &str) -> Result<Matrix> {
        let nin = format!("{theirs}.W");
        if self.state.has(&nin) {
            let (shape, weight) = self.state.take::<2>(&nin)?;
            let (_, bias) = self.state.take::<1>(&format!("{theirs}.b"))?;
            return Ok(Matrix { shape, weight, bias });
        }
        let ([out, inputs], weight) = self.state.take::<2>(&format!("{theirs}.weight"))?;
        let (_, bias) = self.state.take::<1>(&format!("{theirs}.bias"))?;
        Ok(Matrix { shape: [inputs, out], weight: transposed([out, inputs], &weight), bias })
    }

    pub fn put_matrix(&mut self, ours: &str, Matrix { shape, weight, bias }: Matrix) {
        self.put(format!("{ours}.weight"), &shape, weight);
        self.put(format!("{ours}.bias"), &[shape[1]], bias);
    }

    /// Exchanges the first half of a matrix's rows with the second: for layers that read cosines before sines.
    pub fn exchange_halves(&mut self, ours: &str) {
        if let Some(Values { shape, data }) = self.weights.get_mut(ours)
            && let [rows, columns] = shape[..]
        {
            data.rotate_left(rows / 2 * columns);
        }
    }
}

impl Layers for Renamed {
    fn norm(&mut self, ours: &str, theirs: &str) -> Result<()> {
        self.vector(format!("{ours}.gamma"), &format!("{theirs}.weight"))?;
        self.vector(format!("{ours}.beta"), &format!("{theirs}.bias"))
    }

    /// Its window `[c_out, c_in, k, k]` becomes `[k·k·c_in, c_out]`.
    fn conv(&mut self, ours: &str, theirs: &str) -> Result<()> {
        self.unbiased_conv(ours, theirs)?;
        self.vector(format!("{ours}.bias"), &format!("{theirs}.bias"))
    }

    fn dense(&mut self, ours: &str, theirs: &str) -> Result<()> {
        let matrix = self.matrix(theirs)?;
        self.put_matrix(ours, matrix);
        Ok(())
    }

    fn skip(&mut self, ours: &str, theirs: &str) -> Result<()> {
        match ["W", "weight"].map(|end| self.state.has(&format!("{theirs}.{end}"))) {
            [true, _] => self.dense(ours, theirs),
            [_, true] => self.conv(ours, theirs),
            _ => Ok(()),
        }
    }

    fn side_by_side(&mut self, ours: &str, parts: &[Part]) -> Result<()> {
        let parts = parts.iter().map(|part| self.matrix(&part.theirs)).collect::<Result<Vec<_>>>()?;
        let rows = parts.first().map_or(0, |part| part.shape[0]);
        if let Some(other) = parts.iter().find(|part| part.shape[0] != rows) {
            let problem = format!("layers of {rows} and of {} inputs should read the same", other.shape[0]);
            return Err(self.state.error(problem));
        }
        let columns = parts.iter().map(|part| part.shape[1]).sum();
        let line = |row: usize| {
            parts
                .iter()
                .flat_map(move |part| part.weight[row * part.shape[1]..][..part.shape[1]].iter().copied())
        };
        let weight = (0..rows).flat_map(line).collect();
        let bias = parts.iter().flat_map(|part| part.bias.iter().copied()).collect();
        self.put_matrix(ours, Matrix { shape: [rows, columns], weight, bias });
        Ok(())
    }

    fn negate(&mut self, ours: &str) {
        for end in ["weight", "bias"] {
            if let Some(values) = self.weights.get_mut(&format!("{ours}.{end}")) {
                values.data.iter_mut().for_each(|value| *value = -*value);
            }
        }
    }
}
