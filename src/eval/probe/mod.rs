//! Probes: classifiers trained from scratch on frozen features, which measure the information in a representation. The
//! strongest of several is reported (a linear and an MLP probe on statistics, a convolutional one on sequences), each
//! trained to convergence with its own development split. The accuracy of an adversary in training is no such measurement.

#[cfg(feature = "torch")]
mod calibration;
#[cfg(feature = "torch")]
mod folds;
#[cfg(feature = "torch")]
mod network;
#[cfg(feature = "torch")]
mod options;
mod result;
#[cfg(feature = "torch")]
mod run;
#[cfg(feature = "torch")]
mod task;

#[cfg(feature = "torch")]
pub use options::{ProbeData, ProbeOptions, ProbeSets};
pub use result::{CurvePoint, Family, GroupResult, ProbeResult, ProbeRun, Target};
#[cfg(feature = "torch")]
pub use run::probe;
