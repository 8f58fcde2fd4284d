//! End-to-end latency: percentiles of one node, and of several.

use serde::{Deserialize, Serialize};

use super::rows::some_rows;

/// A set of percentiles. Empty where nsqd has none configured.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// Messages in the window, over all nodes.
    pub count: i64,
    /// In the order in which the first node gave them; `null` in JSON where there are none.
    pub percentiles: Option<Vec<Percentile>>,
    /// Set on the aggregate of a whole page only.
    pub topic: String,
    /// Set on the aggregate of a whole page only.
    pub channel: String,
    /// `*` on an aggregate, else empty.
    pub host: String,
}

/// One percentile. Averages of percentiles are an approximation; maximum and minimum say how good it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Percentile {
    /// 0.99 for the 99th.
    pub quantile: f64,
    /// Nanoseconds, of the best node.
    pub min: f64,
    /// Nanoseconds, of the worst node.
    pub max: f64,
    /// Nanoseconds, nodes weighted by their messages.
    pub average: f64,
    /// Messages in the window.
    pub count: i64,
    /// Nanoseconds; as nsqd gave it, on a single node only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<f64>,
}

/// What nsqd says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct LatencyAnswer {
    count: Option<i64>,
    #[serde(deserialize_with = "some_rows")]
    percentiles: Option<Vec<PercentileAnswer>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct PercentileAnswer {
    quantile: Option<f64>,
    value: Option<f64>,
}

impl From<LatencyAnswer> for Latency {
    fn from(answer: LatencyAnswer) -> Self {
        let count = answer.count.unwrap_or_default();
        let percentile = |given: PercentileAnswer| {
            let value = given.value.unwrap_or_default();
            Percentile {
                quantile: given.quantile.unwrap_or_default(),
                min: value,
                max: value,
                average: value,
                count,
                value: Some(value),
            }
        };
        let percentiles = answer.percentiles.map(|given| given.into_iter().map(percentile).collect());
        Self { count, percentiles, ..Self::default() }
    }
}

impl Latency {
    /// Adds another node's percentiles. Those of the same quantile are joined.
    pub fn add(&mut self, other: &Self) {
        "*".clone_into(&mut self.host);
        self.count = self.count.saturating_add(other.count);
        for theirs in other.percentiles.iter().flatten() {
            let ours = self.percentiles.get_or_insert_default();
            match ours.iter_mut().find(|ours| ours.quantile == theirs.quantile) {
                Some(ours) => ours.add(theirs),
                None => ours.push(Percentile { value: None, ..theirs.clone() }),
            }
        }
    }
}

impl Percentile {
    fn add(&mut self, other: &Self) {
        let count = self.count.saturating_add(other.count);
        // Without a message anywhere the weights are nothing, and so is the average.
        if count > 0 {
            let (ours, theirs) = (self.count as f64, other.count as f64);
            self.average = (self.average * ours + other.average * theirs) / (ours + theirs);
        }
        self.count = count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.value = None;
    }
}
