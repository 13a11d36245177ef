//! Results of CenterFace and of other models, against those of the CPU.

use std::path::PathBuf;
use std::time::Instant;

use hippocamp_backend::{Device, Result};
use hippocamp_batching::testing::execute_together;

use crate::data::{differences, metrics, picture, some_inputs};
use crate::kit::{Checks, GPU, config, one};

impl Checks {
    /// The results of CenterFace on the GPU and on the CPU, with TF32 and without.
    pub(crate) fn results(&mut self, _: &[PathBuf]) -> Result<()> {
        let cpu = self.load(&self.centerface, &config("dims: [ 3, 320, 320 ]", "kind: KIND_CPU", ""))?;
        let mut cpu_instance = cpu.instance(0, Device::Cpu)?;
        for (tf32, bound) in [("1", 0.1), ("0", 2e-3)] {
            let parameter =
                format!("parameters {{ key: \"use_tf32\" value {{ string_value: \"{tf32}\" }} }}");
            let sizes = "parameters { key: \"plan_batch_sizes\" value { string_value: \"3\" } }";
            let text = config("dims: [ 3, 320, 320 ]", GPU, &(parameter + sizes));
            let gpu =
                self.load(&self.centerface, &text.replace("max_batch_size: 32", "max_batch_size: 16"))?;
            let began = Instant::now();
            let mut instance = gpu.instance(0, Device::Gpu(0))?;
            println!("use_tf32 {tf32}: an instance with its plans took {:?}", began.elapsed());
            for rows in [1, 3, 8, 5, 16] {
                let inputs = vec![picture(rows, 320, rows as u64)];
                let got = execute_together(&mut *instance, &gpu.interface, vec![inputs.clone()]);
                let expected = execute_together(&mut *cpu_instance, &cpu.interface, vec![inputs]);
                let (got, expected) = (one(got)?, one(expected)?);
                let differences = differences(&got, &expected);
                let largest = differences.iter().copied().fold(0.0, f32::max);
                self.check(
                    largest < bound && got.outputs.len() == 4,
                    &format!("use_tf32 {tf32}, batch {rows}: largest differences by output {differences:?}"),
                );
            }
        }
        Ok(())
    }

    /// A model whose pictures may have any size.
    pub(crate) fn open_sizes(&mut self, _: &[PathBuf]) -> Result<()> {
        let parameter = "parameters { key: \"plan_cache_size\" value { string_value: \"3\" } }";
        let loaded = self.load(&self.centerface, &config("dims: [ 3, -1, -1 ]", GPU, parameter))?;
        let mut instance = loaded.instance(0, Device::Gpu(0))?;
        let cpu = self.load(&self.centerface, &config("dims: [ 3, -1, -1 ]", "kind: KIND_CPU", ""))?;
        let mut cpu_instance = cpu.instance(0, Device::Cpu)?;
        for side in [160, 320, 160, 320, 224, 640, 320, 160, 224] {
            let inputs = vec![picture(1, side, side as u64)];
            let began = Instant::now();
            let got = one(execute_together(&mut *instance, &loaded.interface, vec![inputs.clone()]))?;
            let took = began.elapsed();
            let expected = one(execute_together(&mut *cpu_instance, &cpu.interface, vec![inputs]))?;
            let largest = differences(&got, &expected).into_iter().fold(0.0, f32::max);
            self.check(largest < 0.1, &format!("{side}x{side} in {took:?}, largest difference {largest}"));
        }
        println!("{}", metrics());
        Ok(())
    }

    /// Other models, which complete their configs themselves: as they are on the CPU, with open sizes taken for 1.
    pub(crate) fn others(&mut self, others: &[PathBuf]) -> Result<()> {
        for file in others {
            let name = file.display().to_string();
            let gpu = self.load(file, &format!("name: 'm' max_batch_size: 8 instance_group {{ {GPU} }}"));
            let gpu = match gpu {
                Ok(gpu) => gpu,
                Err(_) => self.load(file, &format!("name: 'm' instance_group {{ {GPU} }}"))?,
            };
            let cpu = self.load(
                file,
                &format!(
                    "name: 'm' max_batch_size: {} instance_group {{ kind: KIND_CPU }}",
                    gpu.config.max_batch_size
                ),
            )?;
            let began = Instant::now();
            let made = gpu.instance(0, Device::Gpu(0));
            println!("{name}: an instance took {:?}", began.elapsed());
            let mut instance = match made {
                Ok(instance) => instance,
                Err(error) => {
                    self.check(false, &format!("{name}: {}", error.reason()));
                    continue;
                }
            };
            let mut cpu_instance = cpu.instance(0, Device::Cpu)?;
            for rows in [1, 5, 2] {
                let inputs = some_inputs(&gpu.interface, rows);
                let began = Instant::now();
                let got = one(execute_together(&mut *instance, &gpu.interface, vec![inputs.clone()]));
                let took = began.elapsed();
                let expected = one(execute_together(&mut *cpu_instance, &cpu.interface, vec![inputs]));
                match (got, expected) {
                    (Ok(got), Ok(expected)) => {
                        let all = differences(&got, &expected);
                        self.check(
                            all.iter().all(|d| *d < 0.05),
                            &format!("{name}, batch {rows} in {took:?}: differences {all:?}"),
                        );
                    }
                    (got, expected) => self.check(
                        got.is_err() == expected.is_err(),
                        &format!("{name}, batch {rows}: GPU {:?}, CPU {:?}", got.err(), expected.err()),
                    ),
                }
            }
        }
        Ok(())
    }

    /// A limit of memory that is too small is found before the instance is ready.
    pub(crate) fn limit(&mut self, _: &[PathBuf]) -> Result<()> {
        let parameter = "parameters { key: \"gpu_mem_limit\" value { string_value: \"20000000\" } }";
        let loaded = self.load(&self.centerface, &config("dims: [ 3, 640, 640 ]", GPU, parameter))?;
        let error = loaded.instance(0, Device::Gpu(0)).err();
        let text = error.map(|error| error.reason()).unwrap_or_default();
        self.check(text.contains("too small"), &format!("a small gpu_mem_limit: {text}"));
        Ok(())
    }
}
