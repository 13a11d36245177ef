//! Prints a C++ program that a compiler checks the tables of this crate by, against the headers of a package of TensorRT.
//!
//! `layout 10 > layout.cpp && g++ -std=c++17 -I/usr/include/x86_64-linux-gnu -I/usr/local/cuda/include layout.cpp -o layout &&
//! ./layout`. The argument is 10, 11 or rtx. The program compares the place of each method in its virtual table, by what the compiler makes of a
//! pointer to it, and the sizes of what is passed by value; it exits with 1 if one differs. `scripts/gpu-acceptance` runs
//! it where there are headers.

#![allow(clippy::print_stdout, reason = "a program")]

use std::process::ExitCode;

use hippocamp_tensorrt_sys::Layout;
use hippocamp_tensorrt_sys::slots::{self, Slot};

/// Methods that are overloaded, with the type of the one that is meant.
const OVERLOADED: [(&str, &str, &str); 1] = [(
    "VRuntime",
    "deserializeCudaEngine",
    "ICudaEngine* (apiv::VRuntime::*)(void const*, std::size_t) noexcept",
)];

fn main() -> ExitCode {
    let layout = match std::env::args().nth(1).as_deref() {
        Some("10") => Layout::V10,
        Some("11") => Layout::V11,
        Some("rtx") => Layout::Rtx,
        _ => {
            println!("usage: layout 10|11|rtx");
            return ExitCode::FAILURE;
        }
    };
    println!("{PROLOGUE}");
    for (class, methods) in slots::ALL {
        for slot in *methods {
            if let Some(place) = slot.place(layout) {
                println!("    place<{}>(\"{class}::{}\", {place});", method(class, slot), slot.method);
            }
        }
    }
    println!("{EPILOGUE}");
    ExitCode::SUCCESS
}

/// A pointer to a method, as C++ writes it.
fn method(class: &str, slot: &Slot) -> String {
    let name = match class {
        "IParser" | "IParserError" => format!("nvonnxparser::{class}"),
        _ if class.starts_with('V') => format!("apiv::{class}"),
        _ => class.to_owned(),
    };
    let overload = OVERLOADED.iter().find(|(of, method, _)| (*of, *method) == (class, slot.method));
    let pointer = format!("&{name}::{}", slot.method);
    overload.map_or_else(|| pointer.clone(), |(_, _, kind)| format!("static_cast<{kind}>({pointer})"))
}

const PROLOGUE: &str = r#"// Made by crates/tensorrt-sys/examples/layout.rs.
#include <NvInfer.h>
#include <NvOnnxParser.h>
#include <cstdint>
#include <cstdio>
#include <cstring>
using namespace nvinfer1;
static int wrong = 0, checked = 0;
// A pointer to a virtual method holds one more than the offset in the table, on x86-64; twice that are the bytes of it that tell.
template <auto Method> void place(char const* name, int expected)
{
    auto const method = Method;
    std::uintptr_t words[2];
    static_assert(sizeof(method) == sizeof(words));
    std::memcpy(words, &method, sizeof(words));
#if defined(__aarch64__)
    bool const isVirtual = words[1] & 1;
    long const got = static_cast<long>(words[0] / sizeof(void*));
#else
    bool const isVirtual = words[0] & 1;
    long const got = static_cast<long>((words[0] - 1) / sizeof(void*));
#endif
    ++checked;
    if (!isVirtual || got != expected)
    {
        ++wrong;
        std::printf("%s: expected place %d, it is %ld\n", name, expected, isVirtual ? got : -1L);
    }
}
static void size(char const* name, unsigned long expected, unsigned long got)
{
    ++checked;
    if (expected != got)
    {
        ++wrong;
        std::printf("%s: expected %lu bytes, it has %lu\n", name, expected, got);
    }
}
int main()
{"#;

const EPILOGUE: &str = r#"    size("Dims", 72, sizeof(Dims));
    size("ICudaEngine", 16, sizeof(ICudaEngine));
    size("IRuntime", 16, sizeof(IRuntime));
    size("InterfaceInfo", 16, sizeof(InterfaceInfo));
    std::printf("%d of %d facts differ\n", wrong, checked);
    return wrong != 0;
}"#;
