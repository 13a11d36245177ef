//! Memory that one process exports and another opens.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitCode, Stdio};

use hippocamp_device::{Devices, GpuSettings};
use hippocamp_tensor::PlacedSlice;

use crate::kit::{self, Checked, Report, equal, pattern, text, whole};
use crate::raw;

const SIZE: usize = 1 << 20;

pub(crate) fn run(report: &mut Report, devices: &Devices) {
    report.check("memory of another process is read and written in place", || in_place(devices));
    report.check("a small allocation of another process", || small(devices));
    report.check("invalid handles are refused", || invalid(devices));
    report.check("what the owner has freed", || freed(devices));
    report.check("what is left of the memory of a process that has ended", || ended(devices));
    report.check("memory of this process is no other's", || own(devices));
}

/// A process that exports memory of a pattern, and waits.
struct Owner {
    process: Child,
    handle: Vec<u8>,
}

impl Owner {
    fn start(size: usize) -> Result<Owner, String> {
        let program = env::current_exe().map_err(text)?;
        let mut process = Command::new(program)
            .args(["owner", &size.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let mut line = String::new();
        let output = process.stdout.as_mut().ok_or("no output")?;
        BufReader::new(output).read_line(&mut line).map_err(text)?;
        let handle = (0..line.trim().len() / 2)
            .map(|at| u8::from_str_radix(&line[2 * at..2 * at + 2], 16))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|_| format!("the owner said: {line}"))?;
        Ok(Owner { process, handle })
    }

    /// Has the owner do something; returns what it says.
    fn tell(&mut self, what: &str) -> Result<String, String> {
        let input = self.process.stdin.as_mut().ok_or("no input")?;
        writeln!(input, "{what}").map_err(text)?;
        let mut line = Vec::new();
        let output = self.process.stdout.as_mut().ok_or("no output")?;
        let mut byte = [0];
        while output.read(&mut byte).map_err(text)? == 1 && byte != *b"\n" {
            line.push(byte[0]);
        }
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    fn end(mut self) -> Result<(), String> {
        drop(self.process.stdin.take());
        self.process.wait().map(drop).map_err(text)
    }
}

/// What the other process does.
pub(crate) fn other_process(role: &str, rest: &[String]) -> ExitCode {
    let done = match (role, rest) {
        ("owner", [size]) => owner(size.parse().unwrap_or(SIZE)),
        ("idle", []) => {
            println!("{}", Devices::find(&GpuSettings::default()).all().len());
            Ok(())
        }
        _ => Err(format!("there is no role {role}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn owner(size: usize) -> Result<(), String> {
    raw::start()?;
    // Something before it, so that it does not begin at the beginning of the driver's own block.
    let _before = raw::allocate(1000)?;
    let address = raw::allocate(size)?;
    raw::write(address, &pattern(size, 1))?;
    let handle = raw::export(address)?;
    for byte in handle {
        print!("{byte:02x}");
    }
    println!();
    for line in std::io::stdin().lines() {
        match line.map_err(text)?.as_str() {
            "sum" => {
                let bytes = raw::read(address, size)?;
                println!("{}", bytes.iter().map(|&byte| u64::from(byte)).sum::<u64>());
            }
            "free" => {
                raw::free(address)?;
                println!("freed");
            }
            other => println!("cannot {other}"),
        }
    }
    Ok(())
}

fn in_place(devices: &Devices) -> Checked {
    let mut owner = Owner::start(SIZE)?;
    let memory = devices.open_exported(0, &owner.handle).map_err(text)?;
    let mut part = memory.clone().part(100, 1000, Box::new(()));
    equal(&whole(&*part).to_vec().map_err(text)?, &pattern(SIZE, 1)[100..1100], "read")?;
    part.copy_from(0, PlacedSlice::Host(&[1; 1000])).map_err(text)?;
    part.finish().map_err(text)?;
    let mut expected = pattern(SIZE, 1);
    expected[100..1100].fill(1);
    let sum = owner.tell("sum")?;
    let right = expected.iter().map(|&byte| u64::from(byte)).sum::<u64>().to_string();
    kit::expect(sum == right, &format!("the owner sees {sum}, not {right}"))?;
    let again = devices.open_exported(0, &owner.handle).map(drop).map_err(text);
    drop((memory, part));
    owner.end()?;
    Ok(format!("opened a second time: {again:?}"))
}

fn small(devices: &Devices) -> Checked {
    let owner = Owner::start(64)?;
    let memory = devices.open_exported(0, &owner.handle).map_err(text)?;
    let read = whole(&*memory.clone().part(0, 64, Box::new(()))).to_vec().map_err(text)?;
    equal(&read, &pattern(64, 1), "read")?;
    let len = memory.len();
    owner.end()?;
    kit::expect(len == 64, &format!("64 bytes are {len}"))
}

fn invalid(devices: &Devices) -> Checked {
    let mut told = Vec::new();
    for handle in [&[0u8; 64][..], &[0xFF; 64], &[1; 63], &[]] {
        match devices.open_exported(0, handle).map(drop) {
            Err(error) => told.push(error.to_string()),
            Ok(()) => return Err(format!("{handle:?} was opened")),
        }
    }
    match devices.open_exported(9, &[0; 64]).map(drop) {
        Err(error) => told.push(error.to_string()),
        Ok(()) => return Err("device 9 was opened".to_owned()),
    }
    Ok(format!("{told:#?}; lost: {:?}", devices.lost(0)))
}

fn freed(devices: &Devices) -> Checked {
    let mut owner = Owner::start(8 << 20)?;
    let memory = devices.open_exported(0, &owner.handle).map_err(text)?;
    owner.tell("free")?;
    let read = whole(&*memory.clone().part(0, 16, Box::new(()))).to_vec().map_err(text);
    let kept = read.as_deref() == Ok(&pattern(16, 1)[..]);
    drop(memory);
    let again = devices.open_exported(0, &owner.handle).map(drop).map_err(text);
    owner.end()?;
    Ok(format!("read: {read:?} (kept: {kept}), opened again: {again:?}, lost: {:?}", devices.lost(0)))
}

fn ended(devices: &Devices) -> Checked {
    let owner = Owner::start(8 << 20)?;
    let handle = owner.handle.clone();
    let memory = devices.open_exported(0, &handle).map_err(text)?;
    owner.end()?;
    let read = whole(&*memory.clone().part(0, 16, Box::new(()))).to_vec().map_err(text);
    let kept = read.as_deref() == Ok(&pattern(16, 1)[..]);
    drop(memory);
    let again = devices.open_exported(0, &handle).map(drop).map_err(text);
    Ok(format!("read: {read:?} (kept: {kept}), opened again: {again:?}, lost: {:?}", devices.lost(0)))
}

fn own(devices: &Devices) -> Checked {
    raw::start()?;
    let address = raw::allocate(SIZE)?;
    let handle = raw::export(address)?;
    let opened = devices.open_exported(0, &handle).map(drop).map_err(text);
    raw::free(address)?;
    match opened {
        Err(error) => Ok(error),
        Ok(()) => Ok("it was opened".to_owned()),
    }
}
