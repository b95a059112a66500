//! What the server counts: every metric with what it means, before the first is counted.

use metrics::{Unit, describe_counter, describe_gauge, describe_histogram, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use model::metric::{self, Kind};

use crate::report::Failure;

/// Begins to count, for the rest of the process.
pub(crate) fn start() -> Result<PrometheusHandle, Failure> {
    // Histograms, which can be added over servers; the library's default, quantiles, cannot.
    let prometheus = PrometheusBuilder::new()
        .set_buckets(metric::SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| Failure::new(format!("metrics cannot be collected: {e}")))?;
    for metric in metric::ALL {
        match metric.kind {
            Kind::Counter => describe_counter!(metric.name, metric.help),
            Kind::Gauge => describe_gauge!(metric.name, metric.help),
            Kind::Histogram => describe_histogram!(metric.name, Unit::Seconds, metric.help),
        }
    }
    gauge!(metric::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    Ok(prometheus)
}
