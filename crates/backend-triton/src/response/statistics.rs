//! The times that backends report: of requests, of executions and of single responses.

use parking_lot::Mutex;

use super::factory::FactoryObject;
use super::times;
use crate::border::{Kind, Object, Out, Ref, Registry, Returned, call};
use crate::life::InstanceObject;
use crate::request::RequestObject;

pub(crate) extern "C" fn report_statistics(
    instance: Ref<InstanceObject>,
    request: Ref<RequestObject>,
    _success: u8,
    begun: u64,
    compute_begun: u64,
    compute_ended: u64,
    ended: u64,
) -> Returned {
    call("TRITONBACKEND_ModelInstanceReportStatistics", || {
        instance.get()?;
        request.get()?.channel.report([begun, compute_begun, compute_ended, ended]);
        Ok(())
    })
}

pub(crate) extern "C" fn report_batch_statistics(
    instance: Ref<InstanceObject>,
    batch_size: u64,
    begun: u64,
    compute_begun: u64,
    compute_ended: u64,
    ended: u64,
) -> Returned {
    call("TRITONBACKEND_ModelInstanceReportBatchStatistics", || {
        let times = [begun, compute_begun, compute_ended, ended];
        let times = times::execution(times, std::time::Instant::now());
        instance.get()?.executions.report(batch_size, &times);
        Ok(())
    })
}

/// The times of a single response.
#[derive(Debug, Default)]
pub(crate) struct ResponseStatisticsObject(Mutex<ResponseStatistics>);

#[derive(Debug)]
struct ResponseStatistics {
    instance: Ref<InstanceObject>,
    factory: Ref<FactoryObject>,
    times: [u64; 3],
    error: Returned,
}

impl Default for ResponseStatistics {
    fn default() -> ResponseStatistics {
        ResponseStatistics { instance: Ref::NULL, factory: Ref::NULL, times: [0; 3], error: Ref::NULL }
    }
}

impl Object for ResponseStatisticsObject {
    const KIND: Kind = Kind::ResponseStatistics;

    fn registry() -> &'static Registry<Self> {
        static ALL: Registry<ResponseStatisticsObject> = Registry::new(Kind::ResponseStatistics);
        &ALL
    }
}

type Statistics = Ref<ResponseStatisticsObject>;

fn change(
    function: &'static str,
    statistics: Statistics,
    change: impl FnOnce(&mut ResponseStatistics),
) -> Returned {
    call(function, || {
        change(&mut statistics.get()?.0.lock());
        Ok(())
    })
}

pub(crate) extern "C" fn new(statistics: Out<Statistics>) -> Returned {
    call("TRITONBACKEND_ModelInstanceResponseStatisticsNew", || {
        statistics.set_new("response_statistics", ResponseStatisticsObject::default())
    })
}

pub(crate) extern "C" fn delete(statistics: Statistics) -> Returned {
    call("TRITONBACKEND_ModelInstanceResponseStatisticsDelete", || statistics.remove_unless_null())
}

pub(crate) extern "C" fn set_model_instance(
    statistics: Statistics,
    instance: Ref<InstanceObject>,
) -> Returned {
    let name = "TRITONBACKEND_ModelInstanceResponseStatisticsSetModelInstance";
    change(name, statistics, |statistics| statistics.instance = instance)
}

pub(crate) extern "C" fn set_response_factory(
    statistics: Statistics,
    factory: Ref<FactoryObject>,
) -> Returned {
    let name = "TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseFactory";
    change(name, statistics, |statistics| statistics.factory = factory)
}

pub(crate) extern "C" fn set_response_start(statistics: Statistics, time: u64) -> Returned {
    let name = "TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseStart";
    change(name, statistics, |statistics| statistics.times[0] = time)
}

pub(crate) extern "C" fn set_compute_output_start(statistics: Statistics, time: u64) -> Returned {
    let name = "TRITONBACKEND_ModelInstanceResponseStatisticsSetComputeOutputStart";
    change(name, statistics, |statistics| statistics.times[1] = time)
}

pub(crate) extern "C" fn set_response_end(statistics: Statistics, time: u64) -> Returned {
    let name = "TRITONBACKEND_ModelInstanceResponseStatisticsSetResponseEnd";
    change(name, statistics, |statistics| statistics.times[2] = time)
}

pub(crate) extern "C" fn set_error(statistics: Statistics, error: Returned) -> Returned {
    let name = "TRITONBACKEND_ModelInstanceResponseStatisticsSetError";
    change(name, statistics, |statistics| statistics.error = error)
}

/// Responses are counted when they are sent, so the report adds to that only one that was not sent: it has neither an error nor a
/// time at which its outputs began. What it refers to has to be there.
pub(crate) extern "C" fn report(statistics: Statistics) -> Returned {
    call("TRITONBACKEND_ModelInstanceReportResponseStatistics", || {
        let statistics = statistics.get()?;
        let statistics = statistics.0.lock();
        statistics.instance.get()?;
        let factory = statistics.factory.get()?;
        if statistics.error.is_null() {
            let [started, outputs_begun, finished] = statistics.times.map(times::instant);
            if outputs_begun.is_none() {
                factory.0.skip(started, finished);
            }
            return Ok(());
        }
        statistics.error.lent().map(drop)
    })
}
