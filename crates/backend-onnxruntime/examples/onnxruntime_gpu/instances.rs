//! Several instances: their memory and rates, and what is left after many loads.

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use hippocamp_backend::{Device, Result, WantedOutputs};
use hippocamp_batching::testing::{execute_together, execute_wanted};
use hippocamp_device::Devices;
use hippocamp_tensor::{Place, PlacedBuffer, PlacedBufferMut, TensorData};

use crate::data::{picture, resident, some_inputs, used};
use crate::kit::{Checks, GPU, Loaded, config, one};

impl Checks {
    /// 16 instances of one model: memory and rates, each on a thread of its own.
    pub(crate) fn instances(&mut self, _: &[PathBuf]) -> Result<()> {
        // What the process has once is not counted: the context, and the kernels of the libraries.
        let text =
            config("dims: [ 3, 320, 320 ]", GPU, "").replace("max_batch_size: 32", "max_batch_size: 1");
        let first = Arc::new(self.load(&self.centerface, &text)?);
        run_instances(&first, 1, 1, (Duration::from_millis(100), None), |_| ())?;
        drop(first);
        let before = used();
        let text = config("dims: [ 3, 320, 320 ]", "kind: KIND_GPU gpus: 0 count: 16", "")
            .replace("max_batch_size: 32", "max_batch_size: 1");
        let loaded = Arc::new(self.load(&self.centerface, &text)?);
        println!("memory before {before}, loaded {}", used());
        let began = Instant::now();
        let time = Duration::from_secs(2);
        let rate = run_instances(&loaded, 16, 1, (time, None), |ready| {
            println!(
                "16 instances ready after {:?}, memory {ready} ({} for them)",
                began.elapsed(),
                ready - before
            );
        })?;
        println!("16 instances, batch 1: {rate:.0} pictures a second with copies");
        let between = used();
        let rate = run_instances(&loaded, 16, 1, (time, Some(&self.devices)), |_| ())?;
        println!(
            "16 instances, batch 1: {rate:.0} pictures a second on the device; memory without them {between}, {}",
            used()
        );
        drop(loaded);
        let after = used();
        self.check(
            after <= before + 80,
            &format!("unloading gives the memory back, but for the pool: {before} before, {after} after"),
        );
        Ok(())
    }

    /// Rates of one to four instances at the best batch.
    pub(crate) fn rates(&mut self, _: &[PathBuf]) -> Result<()> {
        for (count, rows) in [(1, 1), (1, 16), (4, 16)] {
            let group = format!("kind: KIND_GPU gpus: 0 count: {count}");
            let text = config("dims: [ 3, 320, 320 ]", &group, "")
                .replace("max_batch_size: 32", "max_batch_size: 16");
            let loaded = Arc::new(self.load(&self.centerface, &text)?);
            let time = Duration::from_secs(2);
            let began = Instant::now();
            let rate = run_instances(&loaded, count, rows, (time, None), |_| {
                println!("ready after {:?}", began.elapsed());
            })?;
            let on_device = run_instances(&loaded, count, rows, (time, Some(&self.devices)), |_| ())?;
            println!(
                "{count} instances, batch {rows}: {rate:.0} pictures a second with copies, {on_device:.0} on the device"
            );
        }
        Ok(())
    }

    /// Loads and unloads: of CenterFace, and many more of the last of the other models, which loads faster.
    pub(crate) fn cycles(&mut self, others: &[PathBuf]) -> Result<()> {
        let number =
            |name: &str, usual: usize| env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(usual);
        let text =
            config("dims: [ 3, 160, 160 ]", GPU, "").replace("max_batch_size: 32", "max_batch_size: 1");
        self.cycles_of(&self.centerface.clone(), &text, number("CYCLES", 10))?;
        if let Some(other) = others.last() {
            let text = format!("name: 'm' max_batch_size: 1 instance_group {{ {GPU} }}");
            self.cycles_of(other, &text, number("OTHER_CYCLES", 200))?;
        }
        Ok(())
    }

    pub(crate) fn cycles_of(&mut self, file: &PathBuf, text: &str, count: usize) -> Result<()> {
        let mut seen = Vec::new();
        let began = Instant::now();
        for _ in 0..count {
            let loaded = self.load(file, text)?;
            let mut instance = loaded.instance(0, Device::Gpu(0))?;
            one(execute_together(
                &mut *instance,
                &loaded.interface,
                vec![some_inputs(&loaded.interface, 1)],
            ))?;
            drop(instance);
            seen.push((used(), resident()));
        }
        let shown: Vec<_> = seen.iter().step_by((count / 10).max(1)).collect();
        println!(
            "{count} cycles in {:?}; memory of the GPU and of the host in MB: {shown:?}",
            began.elapsed()
        );
        let (early, last) = (seen[seen.len() / 4], seen[seen.len() - 1]);
        self.check(last.0 <= early.0 + 4, "no slope of device memory");
        self.check(last.1 <= early.1 + early.1 / 20, "no slope of host memory");
        Ok(())
    }
}

/// Instances on threads of their own that run batches of single pictures for a while. Returns pictures a second.
fn run_instances(
    loaded: &Arc<Loaded>,
    count: usize,
    rows: usize,
    (time, on_device): (Duration, Option<&Devices>),
    ready: impl FnOnce(i64),
) -> Result<f64> {
    let barrier = Arc::new(Barrier::new(count + 1));
    let threads: Vec<_> = (0..count)
        .map(|index| {
            let (loaded, barrier) = (Arc::clone(loaded), Arc::clone(&barrier));
            let memory = on_device.and_then(|devices| devices.memory(Place::Device(0)));
            thread::spawn(move || {
                let made = loaded.instance(index, Device::Gpu(0));
                barrier.wait();
                barrier.wait();
                let mut instance = made?;
                let mut requests: Vec<_> = (0..rows).map(|row| vec![picture(1, 320, row as u64)]).collect();
                let place = if memory.is_some() { Place::Device(0) } else { Place::Host };
                let wanted = WantedOutputs::all_at(place, loaded.interface.outputs.len());
                if let Some(memory) = memory {
                    for input in requests.iter_mut().flatten().flatten() {
                        let mut buffer = memory.allocate(input.data.len())?;
                        input.data.copy_into(&mut *buffer, 0)?;
                        buffer.finish()?;
                        input.data = TensorData::from(
                            Arc::<dyn PlacedBufferMut>::from(buffer) as Arc<dyn PlacedBuffer>
                        );
                    }
                }
                let (began, mut done) = (Instant::now(), 0);
                while began.elapsed() < time {
                    for result in execute_wanted(&mut *instance, &loaded.interface, requests.clone(), &wanted)
                    {
                        result?;
                        done += 1;
                    }
                }
                Ok(f64::from(done) / began.elapsed().as_secs_f64())
            })
        })
        .collect();
    barrier.wait();
    ready(used());
    barrier.wait();
    threads.into_iter().map(|thread| thread.join().unwrap()).sum()
}
