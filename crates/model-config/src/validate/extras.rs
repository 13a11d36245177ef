//! Metrics and repository agents.

use hippocamp_proto::inference::model_metrics::{MetricControl, metric_control::MetricOptions};

use super::Check;

impl Check<'_> {
    pub(super) fn metrics(&mut self) {
        let Some(metrics) = &self.config.model_metrics else { return };
        for (index, control) in metrics.metric_control.iter().enumerate() {
            self.metric(&format!("model_metrics.metric_control[{index}]"), control);
        }
    }

    fn metric(&mut self, path: &str, control: &MetricControl) {
        match &control.metric_identifier {
            None => self.fault(path, "metric control must specify 'metric_identifier'"),
            Some(identifier) if identifier.family.is_empty() => {
                let message = "metric identifier must specify non-empty 'family'";
                self.fault(&format!("{path}.metric_identifier"), message);
            }
            Some(_) => {}
        }
        let Some(MetricOptions::HistogramOptions(histogram)) = &control.metric_options else {
            self.fault(path, "metric control must specify 'histogram_options'");
            return;
        };
        let path = format!("{path}.histogram_options");
        if histogram.buckets.is_empty() {
            self.fault(&path, "histogram options must specify non-empty 'buckets'");
        }
        // Written so that NaN is refused too.
        if !histogram.buckets.is_sorted_by(|a, b| a < b)
            || histogram.buckets.iter().any(|bound| bound.is_nan())
        {
            self.fault_for(&path, "histogram options expect 'buckets' in ascending order");
        }
    }

    pub(super) fn agents(&mut self) {
        let Some(agents) = &self.config.model_repository_agents else { return };
        for (index, agent) in agents.agents.iter().enumerate() {
            if agent.name.is_empty() {
                let path = format!("model_repository_agents.agents[{index}]");
                self.fault_for(&path, "model repository agent must specify 'name'");
            }
        }
    }
}
