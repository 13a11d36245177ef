//! Tests which ensembles are refused because their models do not fit together, and the messages.

use std::sync::Arc;

use super::kit::*;

fn model(name: &str, config: &str) -> Arc<Fake> {
    Fake::of(name, config, |_| Vec::new())
}

fn tensor(kind: &str, name: &str, data_type: &str, dims: &str) -> String {
    format!("{kind} {{ name: \"{name}\" data_type: {data_type} dims: [ {dims} ] }} ")
}

fn refusal(io: &str, steps: &str, models: &[&Arc<Fake>]) -> String {
    ensemble(io, steps, models).unwrap_err().message().to_owned()
}

#[test]
fn tensors_that_models_see_differently() {
    let floats = tensor("input", "X", "TYPE_FP32", "1") + &tensor("output", "Y", "TYPE_INT32", "1");
    let steps = step("m", "X=IN", "Y=OUT");
    assert_eq!(
        refusal(&io("IN", "OUT"), &steps, &[&model("m", &floats)]),
        "in ensemble ens, ensemble tensor IN: inconsistent data type: TYPE_INT32 is inferred from model ens while \
         TYPE_FP32 is inferred from model m"
    );
    let wide = "max_batch_size: 4 ".to_owned()
        + &tensor("input", "X", "TYPE_INT32", "2")
        + &tensor("output", "Y", "TYPE_INT32", "1");
    assert_eq!(
        refusal(&io("IN", "OUT"), &steps, &[&model("m", &wide)]),
        "in ensemble ens, ensemble tensor IN: inconsistent shape: [1] is inferred from model ens while [-1,2] is \
         inferred from model m"
    );
    let steps = step("m", "X=IN", "Y=t") + &step("n", "X=t", "Y=OUT");
    let long = tensor("input", "X", "TYPE_INT64", "1") + &tensor("output", "Y", "TYPE_INT32", "1");
    assert_eq!(
        refusal(&io("IN", "OUT"), &steps, &[&model("m", &io("X", "Y")), &model("n", &long)]),
        "in ensemble ens, ensemble tensor t: inconsistent data type: TYPE_INT32 is inferred from model m while \
         TYPE_INT64 is inferred from model n"
    );
}

#[test]
fn shapes_may_agree_with_the_batch_dimension() {
    let io = |batch: u32, dims: &str| {
        format!("max_batch_size: {batch} ")
            + &tensor("input", "X", "TYPE_INT32", dims)
            + &tensor("output", "Y", "TYPE_INT32", dims)
    };
    let steps = step("m", "X=X", "Y=t") + &step("n", "X=t", "Y=Y");
    let (batching, whole) = (model("m", &io(4, "16")), model("n", &io(0, "-1, 16")));
    ensemble(&io(4, "16"), &steps, &[&batching, &whole]).unwrap();
    let open = model("m", &io(0, "-1, -1"));
    ensemble(&io(4, "16"), &steps, &[&open, &whole]).unwrap();
    let error = refusal(&io(8, "16"), &steps, &[&batching, &whole]);
    assert_eq!(
        error,
        "ensemble ens allows maximum batch size 8, but it contains model m which only allows maximum batch size to \
         be 4"
    );
}

#[test]
fn maps_that_name_what_the_model_does_not_have() {
    let models = [&model("m", &io("X,W", "Y"))];
    let io = io("IN", "OUT");
    assert_eq!(
        refusal(&io, &step("m", "Q=IN,X=IN", "Y=OUT"), &models),
        "in ensemble ens, ensemble tensor IN is mapping to non-existing input Q in model m; in ensemble ens, input W in \
         model m is not mapped to any ensemble tensors"
    );
    assert_eq!(
        refusal(&io, &step("m", "X=IN", "Y=OUT"), &models),
        "in ensemble ens, input W in model m is not mapped to any ensemble tensors"
    );
    assert_eq!(
        refusal(&io, &step("m", "X=IN,W=IN", "Q=OUT"), &models),
        "in ensemble ens, ensemble tensor OUT is mapped from non-existing output Q in model m"
    );
}

#[test]
fn tensors_of_different_decoupled_models_do_not_meet() {
    let decoupled =
        |name: &str| model(name, &(io("X", "Y") + "model_transaction_policy { decoupled: true }"));
    let (d, e) = (decoupled("d"), decoupled("e"));
    let join = model("join", &io("X,Y", "Z"));
    let error = |model: &str| {
        format!(
            "in ensemble ens, step of model '{model}' receives inputs originated from different decoupled models"
        )
    };
    let steps = step("d", "X=IN", "Y=t") + &step("e", "X=IN", "Y=u") + &step("join", "X=t,Y=u", "Z=OUT");
    assert_eq!(refusal(&io("IN", "OUT"), &steps, &[&d, &e, &join]), error("join"));
    let steps = step("d", "X=IN", "Y=t") + &step("join", "X=t,Y=IN", "Z=OUT");
    assert_eq!(refusal(&io("IN", "OUT"), &steps, &[&d, &join]), error("join"));
    let steps = step("d", "X=IN", "Y=t") + &step("e", "X=IN", "Y=u");
    assert_eq!(refusal(&io("IN", "t,u"), &steps, &[&d, &e]), error("ens"));

    let chain = step("d", "X=IN", "Y=t") + &step("e", "X=t", "Y=OUT");
    assert!(ensemble(&io("IN", "OUT"), &chain, &[&d, &e]).unwrap().is_decoupled());
    let plain = step("join", "X=IN,Y=IN", "Z=OUT");
    assert!(!ensemble(&io("IN", "OUT"), &plain, &[&join]).unwrap().is_decoupled());
}

#[test]
fn steps_that_wait_for_each_other() {
    let steps = step("m", "X=b", "Y=a") + &step("m", "X=a", "Y=b") + &step("m", "X=IN", "Y=OUT");
    let error = refusal(&io("IN", "OUT"), &steps, &[&model("m", &io("X", "Y"))]);
    assert_eq!(error, "in ensemble ens, the inputs of the step of model 'm' are never made");
}
