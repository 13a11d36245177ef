//! The builder, and the parser of ONNX: a model is the text of a plan, without its profiles.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt::Write;
use std::ptr::null_mut;

use hippocamp_tensorrt_sys::slots::{
    builder as slot, builder_config, host_memory, network as of_network, parser, parser_error, profile,
    tensor, timing_cache,
};
use hippocamp_tensorrt_sys::{Dims, Layout};

use crate::callbacks::{calibrate, tell_phase};
use crate::object::{Log, data, implementation, make as object, make_direct};
use crate::plan::{Plan, Size};
use crate::{leaked, role};

/// Makes a builder.
///
/// # Safety
/// The logger is an object of the library's interface, which outlives the builder.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createInferBuilder_INTERNAL(logger: *mut c_void, _version: c_int) -> *mut c_void {
    object(
        Log(logger as usize),
        &[
            (slot::CREATE_BUILDER_CONFIG, create_config as *const c_void),
            (slot::CREATE_NETWORK_V2, create_network as *const c_void),
            (slot::CREATE_OPTIMIZATION_PROFILE, create_profile as *const c_void),
            (slot::BUILD_SERIALIZED_NETWORK, build as *const c_void),
        ],
    )
}

/// The version of the parser.
#[unsafe(no_mangle)]
pub extern "C" fn getNvOnnxParserVersion() -> c_int {
    200
}

/// Makes a parser, which is an object without an implementation behind it.
///
/// # Safety
/// The network is one of this library, maybe of another copy of it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn createNvOnnxParser_INTERNAL(
    network: *mut c_void,
    _logger: *mut c_void,
    _version: c_int,
) -> *mut c_void {
    let delete = if role().layout == Layout::V10 { 9 } else { 7 };
    make_direct(
        Parser { network: network as usize, error: null_mut() },
        &[
            (parser::PARSE, parse as *const c_void),
            (parser::GET_NB_ERRORS, error_count as *const c_void),
            (parser::GET_ERROR, error as *const c_void),
        ],
        delete,
    )
}

struct Parser {
    network: usize,
    error: *mut c_void,
}

/// What a network and a config were told.
#[derive(Default)]
struct Network {
    text: String,
    /// In the order of the model.
    tensors: Vec<*mut c_void>,
    inputs: usize,
    flags: u32,
}

#[derive(Default)]
struct Config {
    lines: Vec<String>,
    profiles: Vec<usize>,
    cache: Vec<u8>,
    calibrator: usize,
    monitor: usize,
}

#[derive(Default)]
struct Profile {
    /// The input, which bound it is, and the sizes.
    bounds: Vec<(String, i32, Vec<i64>)>,
}

/// # Safety
/// The text ends with a null byte.
unsafe fn own(text: *const c_char) -> String {
    // SAFETY: the caller's word.
    unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned()
}

unsafe extern "C" fn parse(
    this: *mut c_void,
    bytes: *const c_void,
    len: usize,
    _path: *const c_char,
) -> bool {
    // SAFETY: called as a method of a parser, with as many bytes; the network is alive.
    unsafe {
        let parser = data::<Parser>(this);
        let network = data::<Network>(implementation(parser.network as *mut c_void));
        let text = String::from_utf8_lossy(std::slice::from_raw_parts(bytes.cast(), len)).into_owned();
        let plan = match Plan::parse(&text) {
            Ok(plan) => plan,
            Err(why) => {
                parser.error = make_direct(
                    why,
                    &[
                        (parser_error::DESC, description as *const c_void),
                        (parser_error::NODE, node as *const c_void),
                        (parser_error::NODE_NAME, node_name as *const c_void),
                        (parser_error::NODE_OPERATOR, node_operator as *const c_void),
                    ],
                    50,
                );
                return false;
            }
        };
        network.inputs = plan.tensors.iter().filter(|tensor| tensor.is_input).count();
        network.tensors = plan.tensors.iter().map(|tensor| described(tensor.clone())).collect();
        network.text = text;
    }
    true
}

unsafe extern "C" fn error_count(this: *mut c_void) -> c_int {
    // SAFETY: as above.
    i32::from(!unsafe { data::<Parser>(this) }.error.is_null())
}

unsafe extern "C" fn error(this: *mut c_void, _index: c_int) -> *mut c_void {
    // SAFETY: as above.
    unsafe { data::<Parser>(this) }.error
}

unsafe extern "C" fn description(this: *mut c_void) -> *const c_char {
    // SAFETY: called as a method of a fault.
    leaked(unsafe { data::<String>(this) }).as_ptr()
}

unsafe extern "C" fn node(_this: *mut c_void) -> c_int {
    7
}

unsafe extern "C" fn node_name(_this: *mut c_void) -> *const c_char {
    c"the_node".as_ptr()
}

unsafe extern "C" fn node_operator(_this: *mut c_void) -> *const c_char {
    c"TheOperator".as_ptr()
}

fn described(of: crate::plan::Tensor) -> *mut c_void {
    object(
        of,
        &[
            (tensor::GET_NAME, tensor_name as *const c_void),
            (tensor::GET_DIMENSIONS, tensor_dims as *const c_void),
            (tensor::GET_TYPE, tensor_type as *const c_void),
            (tensor::IS_SHAPE_TENSOR, tensor_is_shape as *const c_void),
        ],
    )
}

unsafe extern "C" fn tensor_name(this: *mut c_void) -> *const c_char {
    // SAFETY: called as a method of a tensor.
    leaked(&unsafe { data::<crate::plan::Tensor>(this) }.name).as_ptr()
}

unsafe extern "C" fn tensor_dims(this: *mut c_void) -> Dims {
    // SAFETY: as above.
    unsafe { data::<crate::plan::Tensor>(this) }.dims()
}

unsafe extern "C" fn tensor_type(this: *mut c_void) -> i32 {
    // SAFETY: as above.
    unsafe { data::<crate::plan::Tensor>(this) }.data_type.number()
}

unsafe extern "C" fn tensor_is_shape(this: *mut c_void) -> bool {
    // SAFETY: as above.
    unsafe { data::<crate::plan::Tensor>(this) }.is_shape
}

unsafe extern "C" fn create_network(_this: *mut c_void, flags: u32) -> *mut c_void {
    object(
        Network { flags, ..Network::default() },
        &[
            (of_network::GET_NB_INPUTS, input_count as *const c_void),
            (of_network::GET_INPUT, input as *const c_void),
            (of_network::GET_NB_OUTPUTS, output_count as *const c_void),
            (of_network::GET_OUTPUT, output as *const c_void),
        ],
    )
}

unsafe extern "C" fn input_count(this: *mut c_void) -> i32 {
    // SAFETY: called as a method of a network; so are the functions below.
    unsafe { data::<Network>(this) }.inputs as i32
}

unsafe extern "C" fn input(this: *mut c_void, index: i32) -> *mut c_void {
    // SAFETY: as above.
    unsafe { data::<Network>(this) }.tensors.get(index as usize).copied().unwrap_or(null_mut())
}

unsafe extern "C" fn output_count(this: *mut c_void) -> i32 {
    // SAFETY: as above.
    let network = unsafe { data::<Network>(this) };
    (network.tensors.len() - network.inputs) as i32
}

unsafe extern "C" fn output(this: *mut c_void, index: i32) -> *mut c_void {
    // SAFETY: as above.
    let network = unsafe { data::<Network>(this) };
    network.tensors.get(network.inputs + index as usize).copied().unwrap_or(null_mut())
}

unsafe extern "C" fn create_profile(_this: *mut c_void) -> *mut c_void {
    object(
        Profile::default(),
        &[
            (profile::SET_DIMENSIONS, set_dimensions as *const c_void),
            (profile::SET_SHAPE_VALUES, set_narrow as *const c_void),
            (profile::SET_SHAPE_VALUES_V2, set_wide as *const c_void),
            (profile::IS_VALID, is_valid as *const c_void),
        ],
    )
}

unsafe extern "C" fn set_dimensions(
    this: *mut c_void,
    name: *const c_char,
    which: i32,
    dims: *const Dims,
) -> bool {
    // SAFETY: called as a method of a profile, with a name and a shape; so are the functions below.
    unsafe {
        let Some(dims) = (*dims).get() else { return false };
        data::<Profile>(this).bounds.push((own(name), which, dims.to_vec()));
    }
    true
}

unsafe extern "C" fn set_narrow(
    this: *mut c_void,
    name: *const c_char,
    which: i32,
    values: *const i32,
    count: i32,
) -> bool {
    // SAFETY: as above, with as many values.
    unsafe {
        let values = std::slice::from_raw_parts(values, count as usize);
        let values = values.iter().map(|value| i64::from(*value)).collect();
        data::<Profile>(this).bounds.push((own(name), which, values));
    }
    true
}

unsafe extern "C" fn set_wide(
    this: *mut c_void,
    name: *const c_char,
    which: i32,
    values: *const i64,
    count: i32,
) -> bool {
    // SAFETY: as above.
    unsafe {
        let values = std::slice::from_raw_parts(values, count as usize).to_vec();
        data::<Profile>(this).bounds.push((own(name), which, values));
    }
    true
}

unsafe extern "C" fn is_valid(_this: *mut c_void) -> bool {
    true
}

unsafe extern "C" fn create_config(_this: *mut c_void) -> *mut c_void {
    object(
        Config::default(),
        &[
            (builder_config::SET_FLAG, set_flag as *const c_void),
            (builder_config::CLEAR_FLAG, clear_flag as *const c_void),
            (builder_config::SET_MEMORY_POOL_LIMIT, set_pool as *const c_void),
            (builder_config::SET_BUILDER_OPTIMIZATION_LEVEL, set_level as *const c_void),
            (builder_config::SET_HARDWARE_COMPATIBILITY_LEVEL, set_hardware as *const c_void),
            (builder_config::SET_NB_COMPUTE_CAPABILITIES, set_capability_count as *const c_void),
            (builder_config::SET_COMPUTE_CAPABILITY, set_capability as *const c_void),
            (builder_config::ADD_OPTIMIZATION_PROFILE, add_profile as *const c_void),
            (builder_config::CREATE_TIMING_CACHE, create_cache as *const c_void),
            (builder_config::SET_TIMING_CACHE, set_cache as *const c_void),
            (builder_config::GET_TIMING_CACHE, get_cache as *const c_void),
            (builder_config::SET_PROGRESS_MONITOR, set_monitor as *const c_void),
            (builder_config::SET_INT8_CALIBRATOR, set_calibrator as *const c_void),
            (builder_config::SET_CALIBRATION_PROFILE, set_calibration_profile as *const c_void),
        ],
    )
}

/// # Safety
/// `this` is a config.
unsafe fn note(this: *mut c_void, line: String) {
    // SAFETY: the caller's word.
    unsafe { data::<Config>(this) }.lines.push(line);
}

unsafe extern "C" fn set_flag(this: *mut c_void, flag: i32) {
    // SAFETY: called as a method of a config; so are the functions below.
    unsafe { note(this, format!("# flag {flag}")) };
}

unsafe extern "C" fn clear_flag(this: *mut c_void, flag: i32) {
    // SAFETY: as above.
    unsafe { note(this, format!("# no flag {flag}")) };
}

unsafe extern "C" fn set_pool(this: *mut c_void, pool: i32, size: usize) {
    // SAFETY: as above.
    unsafe { note(this, format!("# pool {pool} {size}")) };
}

unsafe extern "C" fn set_level(this: *mut c_void, level: i32) {
    // SAFETY: as above.
    unsafe { note(this, format!("# level {level}")) };
}

unsafe extern "C" fn set_hardware(this: *mut c_void, level: i32) {
    // SAFETY: as above.
    unsafe { note(this, format!("# hardware {level}")) };
}

unsafe extern "C" fn set_capability_count(this: *mut c_void, count: i32) -> bool {
    // SAFETY: as above.
    unsafe { note(this, format!("# capabilities {count}")) };
    true
}

unsafe extern "C" fn set_capability(this: *mut c_void, capability: i32, index: i32) -> bool {
    // SAFETY: as above.
    unsafe { note(this, format!("# capability {index} {capability}")) };
    // Like the real one, it knows some only.
    capability != 90
}

unsafe extern "C" fn add_profile(this: *mut c_void, profile: *mut c_void) -> i32 {
    // SAFETY: as above; the profile lives as long as the builder.
    let config = unsafe { data::<Config>(this) };
    config.profiles.push(profile as usize);
    config.profiles.len() as i32 - 1
}

unsafe extern "C" fn create_cache(_this: *mut c_void, bytes: *const c_void, len: usize) -> *mut c_void {
    if len == 0 {
        return cache(Vec::new());
    }
    // SAFETY: as above, with as many bytes.
    let bytes = unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), len) }.to_vec();
    cache(bytes)
}

fn cache(bytes: Vec<u8>) -> *mut c_void {
    object(bytes, &[(timing_cache::SERIALIZE, serialize_cache as *const c_void)])
}

unsafe extern "C" fn serialize_cache(this: *mut c_void) -> *mut c_void {
    // SAFETY: called as a method of a cache.
    memory(unsafe { data::<Vec<u8>>(this) }.clone())
}

unsafe extern "C" fn set_cache(this: *mut c_void, cache: *mut c_void, _ignores: bool) -> bool {
    // SAFETY: as above; the cache is one of this library.
    unsafe { data::<Config>(this).cache.clone_from(data::<Vec<u8>>(implementation(cache))) };
    true
}

unsafe extern "C" fn get_cache(this: *mut c_void) -> *mut c_void {
    // SAFETY: as above.
    cache([unsafe { data::<Config>(this) }.cache.as_slice(), b"times"].concat())
}

unsafe extern "C" fn set_monitor(this: *mut c_void, monitor: *mut c_void) {
    // SAFETY: as above.
    unsafe { data::<Config>(this).monitor = monitor as usize };
}

unsafe extern "C" fn set_calibrator(this: *mut c_void, calibrator: *mut c_void) {
    // SAFETY: as above.
    unsafe { data::<Config>(this).calibrator = calibrator as usize };
}

unsafe extern "C" fn set_calibration_profile(this: *mut c_void, _profile: *mut c_void) -> bool {
    // SAFETY: as above.
    unsafe { note(this, "# calibration profile".to_owned()) };
    true
}

fn memory(bytes: Vec<u8>) -> *mut c_void {
    object(
        bytes,
        &[
            (host_memory::DATA, memory_data as *const c_void),
            (host_memory::SIZE, memory_size as *const c_void),
        ],
    )
}

unsafe extern "C" fn memory_data(this: *mut c_void) -> *const c_void {
    // SAFETY: called as a method of memory.
    unsafe { data::<Vec<u8>>(this) }.as_ptr().cast()
}

unsafe extern "C" fn memory_size(this: *mut c_void) -> usize {
    // SAFETY: as above.
    unsafe { data::<Vec<u8>>(this) }.len()
}

/// Tells a phase of two steps, runs the calibration, and writes the plan: the model's text with the ranges of the profiles.
unsafe extern "C" fn build(this: *mut c_void, network: *mut c_void, config: *mut c_void) -> *mut c_void {
    // SAFETY: called as a method of a builder, whose log this is; network and config are of this library.
    let (log, network, config) = unsafe {
        (*data::<Log>(this), data::<Network>(implementation(network)), data::<Config>(implementation(config)))
    };
    let Ok(plan) = Plan::parse(&network.text) else { return null_mut() };
    let varies = |size: &Size| *size == Size::Fixed(-1);
    let is_open = plan.tensors.iter().any(|tensor| tensor.is_input && tensor.sizes.iter().any(varies));
    if is_open && config.profiles.is_empty() {
        log.error("IBuilder::buildSerializedNetwork: Error Code 4: API Usage Error (Network has dynamic inputs, but no profile)");
        return null_mut();
    }
    // SAFETY: the objects are the caller's, with the methods at these places.
    unsafe { tell_phase(config.monitor) };
    // SAFETY: as above.
    unsafe { calibrate(config.calibrator, &mut config.lines) };
    let mut text = format!("profiles {}\n# network {}\n", config.profiles.len().max(1), network.flags);
    for line in network.text.lines() {
        text.push_str(line.trim());
        let name = line.split_whitespace().nth(1).filter(|_| line.trim().starts_with("input"));
        for profile in name.iter().flat_map(|_| &config.profiles) {
            // SAFETY: profiles are of this library and live as long as the builder.
            let profile = unsafe { data::<Profile>(implementation(*profile as *mut c_void)) };
            let of = |which: i32| {
                let found = profile
                    .bounds
                    .iter()
                    .find(|(input, bound, _)| Some(input.as_str()) == name && *bound == which);
                found.map(|(_, _, sizes)| sizes.iter().map(i64::to_string).collect::<Vec<_>>().join(","))
            };
            if let (Some(min), Some(opt), Some(max)) = (of(0), of(1), of(2)) {
                let _ = write!(text, " {min}:{opt}:{max}");
            }
        }
        text.push('\n');
    }
    text.push_str(&config.lines.join("\n"));
    let version = role().version;
    let mut bytes = if version.major < 5 { b"vtrt".to_vec() } else { b"ftrt".to_vec() };
    bytes.resize(24, 0);
    bytes.extend([version.major as u8, version.minor as u8, version.patch as u8, 0, 0, 0, 0, 0]);
    bytes.extend(text.as_bytes());
    memory(bytes)
}
