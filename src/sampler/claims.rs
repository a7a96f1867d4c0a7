//! What a sampler promises, as data: tests read the claims of every sampler of the registry and hold it to them.

/// One promise of a method, for some choice of its options. Tests find the options for a number of evaluations by
/// [`Method::within`](super::Method::within).
#[derive(Debug, Clone, PartialEq)]
pub struct Claim<M> {
    /// The method with the options that the claim is about.
    pub method: M,
    /// How fast its error falls with the number of steps.
    pub order: Order,
    /// Evaluations after which 1,024 samples of a mixture of two Gaussians are as near to its distribution as exact
    /// samples are: their energy distance is below three times that of as many exact ones, for every diffusion.
    pub floor_nfe: usize,
    /// A number of evaluations, and the error of weights, means and variances that its finite steps then cost, relative
    /// to a component's deviation and variance.
    pub bias: (usize, f64),
    /// The noise with which its samples are distributed: 0 for methods that draw the data themselves.
    pub sigma: f64,
}

/// How fast an error falls with the number of steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// A deterministic method: the error of each sample falls with this power.
    Ode(u32),
    /// A stochastic one: the error of the distribution does, at least.
    Weak(u32),
    /// The steps follow a tolerance, and the error with them.
    Adaptive,
    /// None: more steps do not end in the right distribution by themselves.
    None,
}

impl<M> Claim<M> {
    /// The same claim of the method in another shape.
    pub fn map<N>(self, f: impl FnOnce(M) -> N) -> Claim<N> {
        let Self { method, order, floor_nfe, bias, sigma } = self;
        Claim { method: f(method), order, floor_nfe, bias, sigma }
    }
}
