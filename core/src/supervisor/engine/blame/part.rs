//! What one task contributes to one metric.

/// Shares are added as integers, so that the order of the tasks cannot change a sum.
const UNIT: f64 = 1e12;

/// What one task contributes to one metric.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Part {
    /// 0 to 1: its part of the use, if that is known.
    pub(in super::super) share: Option<f64>,
    /// What it is ranked by.
    pub(in super::super) weight: f64,
    units: u64,
    /// Whether it is as much as the minimum.
    pub(in super::super) enough: bool,
    /// Whether it keeps a core busy enough to slow frames or answers down. Memory does neither.
    pub(in super::super) busy: bool,
    /// Whether the share is unknown in this sample only.
    pub(in super::super) hidden: bool,
}

impl Part {
    pub(super) fn new(share: Option<f64>, weight: f64) -> Self {
        let units = (share.unwrap_or(0.0) * UNIT) as u64;
        Part { share, weight, units, enough: false, busy: false, hidden: false }
    }
}

/// The shares of some tasks together.
#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Sum(u64);

impl Sum {
    pub(in super::super) fn add(&mut self, part: &Part) {
        self.0 = self.0.saturating_add(part.units);
    }

    pub(in super::super) fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// What is left of the whole, 0 to 1.
    pub(in super::super) fn rest(self) -> f64 {
        1.0 - (self.0 as f64 / UNIT).min(1.0)
    }
}

/// What every task contributes to one metric, in the order of the readings.
#[derive(Clone, Debug)]
pub(in super::super) struct Parts {
    pub(in super::super) of: Vec<Part>,
    pub(in super::super) all: Sum,
    /// The host's value that the shares are parts of.
    pub(in super::super) whole: Option<f64>,
    /// The same if nobody had to wait.
    pub(in super::super) demand: Option<f64>,
}

impl Parts {
    pub(super) fn new(of: Vec<Part>, whole: Option<f64>) -> Self {
        let mut all = Sum::default();
        of.iter().for_each(|part| all.add(part));
        Parts { of, all, whole, demand: whole }
    }

    /// On a full machine who leaves makes room for those that wait, and then it is as full as before. So what all want
    /// tells what would be left, not what they get.
    pub(super) fn with_demand(mut self, demand: Option<f64>) -> Self {
        self.demand = demand.filter(|demand| self.whole.is_none_or(|whole| *demand > whole)).or(self.whole);
        self
    }
}
