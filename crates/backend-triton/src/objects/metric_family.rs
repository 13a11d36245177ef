//! Families of metrics that backends make at run time, for the server's metrics page.

use std::sync::Arc;

use hippocamp_backend::{Code, Error};
use hippocamp_metrics::{CustomMetrics, Kind as FamilyKind, MetricFamily, MetricFault, MetricFaultKind};

use crate::border::{Kind, MetricKind, Object, Out, Ref, Registry, Returned, Text, call};

/// A handle of a family. Several may be of the same one.
#[derive(Debug)]
pub(crate) struct FamilyObject(pub(crate) Arc<MetricFamily>);

impl Object for FamilyObject {
    const KIND: Kind = Kind::MetricFamily;

    fn registry() -> &'static Registry<Self> {
        static FAMILIES: Registry<FamilyObject> = Registry::new(Kind::MetricFamily);
        &FAMILIES
    }
}

pub(super) fn error(fault: &MetricFault) -> Error {
    let code = match fault.kind() {
        MetricFaultKind::Invalid => Code::InvalidArg,
        MetricFaultKind::Unsupported => Code::Unsupported,
        MetricFaultKind::Full => Code::Unavailable,
    };
    Error::new(code, fault.message().to_owned())
}

pub(crate) extern "C" fn new(family: Out<Ref<FamilyObject>>, kind: u32, name: Text, help: Text) -> Returned {
    call("TRITONSERVER_MetricFamilyNew", || {
        let kind = match MetricKind::from_number(kind, "kind")? {
            MetricKind::Counter => FamilyKind::Counter,
            MetricKind::Gauge => FamilyKind::Gauge,
            MetricKind::Histogram => FamilyKind::Histogram,
        };
        let metrics = CustomMetrics::of_process();
        let made =
            metrics.family(kind, name.read("name")?, &help.read_lossy()).map_err(|fault| error(&fault))?;
        family.set_new("family", FamilyObject(Arc::new(made)))
    })
}

pub(crate) extern "C" fn delete(family: Ref<FamilyObject>) -> Returned {
    call("TRITONSERVER_MetricFamilyDelete", || {
        {
            let made = &family.get()?.0;
            let count = made.live_metrics();
            if count > 0 {
                return Err(Error::internal(format!(
                    "the metric family '{}' has {count} metrics, which have to be deleted before it",
                    made.name()
                )));
            }
        }
        family.remove().map(drop)
    })
}

pub(crate) extern "C" fn kind(family: Ref<FamilyObject>, kind: Out<u32>) -> Returned {
    call("TRITONSERVER_GetMetricFamilyKind", || {
        let number = match family.get()?.0.kind() {
            FamilyKind::Counter => MetricKind::Counter,
            FamilyKind::Gauge => MetricKind::Gauge,
            FamilyKind::Histogram | FamilyKind::Summary => MetricKind::Histogram,
        };
        kind.set("kind", number.number())
    })
}
