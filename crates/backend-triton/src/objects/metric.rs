//! Metrics that backends make at run time.

use hippocamp_backend::{Error, Result};
use hippocamp_metrics::{Metric, MetricFault};
use parking_lot::Mutex;

use super::metric_family::{FamilyObject, error};
use super::parameter::{self, ParameterContent, ParameterObject};
use crate::border::{Kind, Object, Out, Ref, Registry, Returned, call, list};

/// A handle of a metric.
#[derive(Debug)]
pub(crate) struct MetricObject(Metric);

/// What a histogram needs besides its labels: the bounds of its buckets.
#[derive(Debug, Default)]
pub(crate) struct ArgsObject(Mutex<Option<Vec<f64>>>);

impl Object for MetricObject {
    const KIND: Kind = Kind::Metric;

    fn registry() -> &'static Registry<Self> {
        static METRICS: Registry<MetricObject> = Registry::new(Kind::Metric);
        &METRICS
    }
}

impl Object for ArgsObject {
    const KIND: Kind = Kind::MetricArgs;

    fn registry() -> &'static Registry<Self> {
        static ARGS: Registry<ArgsObject> = Registry::new(Kind::MetricArgs);
        &ARGS
    }
}

fn make(
    family: Ref<FamilyObject>,
    labels: *const Ref<ParameterObject>,
    count: u64,
    bounds: Option<&[f64]>,
) -> Result<MetricObject> {
    let family = family.get()?;
    let parameters = parameter::all(labels, count, "labels")?;
    let label = |parameter: &crate::border::Use<ParameterObject>| match &parameter.content {
        ParameterContent::String(value) => Ok((parameter.name.clone(), value.clone())),
        _ => Err(Error::invalid_arg(format!(
            "Parameter [{}] must have a type of TRITONSERVER_PARAMETER_STRING to be added as a label.",
            parameter.name
        ))),
    };
    let labels = parameters.iter().map(label).collect::<Result<Vec<_>>>()?;
    let labels: Vec<(&str, &str)> = labels.iter().map(|(name, value)| (&**name, &**value)).collect();
    family.0.metric(&labels, bounds).map(MetricObject).map_err(|fault| error(&fault))
}

pub(crate) extern "C" fn new(
    metric: Out<Ref<MetricObject>>,
    family: Ref<FamilyObject>,
    labels: *const Ref<ParameterObject>,
    count: u64,
) -> Returned {
    call("TRITONSERVER_MetricNew", || metric.set_new("metric", make(family, labels, count, None)?))
}

pub(crate) extern "C" fn new_with_args(
    metric: Out<Ref<MetricObject>>,
    family: Ref<FamilyObject>,
    labels: *const Ref<ParameterObject>,
    count: u64,
    args: Ref<ArgsObject>,
) -> Returned {
    call("TRITONSERVER_MetricNewWithArgs", || {
        let bounds = if args.is_null() { None } else { args.get()?.0.lock().clone() };
        metric.set_new("metric", make(family, labels, count, bounds.as_deref())?)
    })
}

pub(crate) extern "C" fn delete(metric: Ref<MetricObject>) -> Returned {
    call("TRITONSERVER_MetricDelete", || metric.remove().map(drop))
}

pub(crate) extern "C" fn args_new(args: Out<Ref<ArgsObject>>) -> Returned {
    call("TRITONSERVER_MetricArgsNew", || args.set_new("args", ArgsObject::default()))
}

pub(crate) extern "C" fn args_set_histogram(
    args: Ref<ArgsObject>,
    bounds: *const f64,
    count: u64,
) -> Returned {
    call("TRITONSERVER_MetricArgsSetHistogram", || {
        let bounds = list(bounds, count, "buckets")?.into_owned();
        *args.get()?.0.lock() = Some(bounds);
        Ok(())
    })
}

pub(crate) extern "C" fn args_delete(args: Ref<ArgsObject>) -> Returned {
    call("TRITONSERVER_MetricArgsDelete", || args.remove_unless_null())
}

fn with(
    metric: Ref<MetricObject>,
    body: impl FnOnce(&Metric) -> Result<(), MetricFault>,
) -> Result<(), Error> {
    body(&metric.get()?.0).map_err(|fault| error(&fault))
}

pub(crate) extern "C" fn value(metric: Ref<MetricObject>, value: Out<f64>) -> Returned {
    call("TRITONSERVER_MetricValue", || {
        value.set("value", metric.get()?.0.value().map_err(|fault| error(&fault))?)
    })
}

pub(crate) extern "C" fn increment(metric: Ref<MetricObject>, value: f64) -> Returned {
    call("TRITONSERVER_MetricIncrement", || with(metric, |metric| metric.increment(value)))
}

pub(crate) extern "C" fn set(metric: Ref<MetricObject>, value: f64) -> Returned {
    call("TRITONSERVER_MetricSet", || with(metric, |metric| metric.set(value)))
}

pub(crate) extern "C" fn observe(metric: Ref<MetricObject>, value: f64) -> Returned {
    call("TRITONSERVER_MetricObserve", || with(metric, |metric| metric.observe(value)))
}
