//! The results as CSV, a line for each level.

use std::fmt::Write;

use super::{QUANTILES, Report, micros};
use crate::plan::Load;

pub(crate) fn render(report: &Report) -> String {
    let quantiles: Vec<String> = QUANTILES.iter().map(|(_, name)| format!("{name}_us")).collect();
    let mut text = format!(
        "protocol,concurrency,rate,connections,threads,seconds,requests,failed,requests_per_s,mean_us,{},max_us,client_cpu_s_per_1000,not_sent\n",
        quantiles.join(",")
    );
    for point in &report.points {
        let (concurrency, rate) = match point.load {
            Load::Closed { concurrency } => (concurrency.to_string(), String::new()),
            Load::Open { rate, .. } => (String::new(), rate.to_string()),
        };
        let latencies = &point.record.latencies;
        let _ = write!(
            text,
            "{},{concurrency},{rate},{},{},{:.3},{},{},{:.1},{:.1}",
            point.transport.name(),
            point.connections,
            point.threads,
            point.elapsed.as_secs_f64(),
            point.record.answered(),
            point.record.failed(),
            point.rate(),
            micros(latencies.mean()),
        );
        for (quantile, _) in QUANTILES {
            let _ = write!(text, ",{:.1}", micros(latencies.value_at_quantile(quantile) as f64));
        }
        let cpu = point.cpu_per_1000().map_or_else(String::new, |cpu| format!("{cpu:.6}"));
        let _ = writeln!(text, ",{:.1},{cpu},{}", micros(latencies.max() as f64), point.record.unsent);
    }
    text
}
