//! Tests of shapes between models with and without a batch dimension.

use std::sync::Arc;

use hippocamp_backend::{Delivery, ExecutionTimes};
use hippocamp_tensor::Shape;

use super::kit::*;

/// A network with a batch dimension between steps without one, whose shapes have a leading 1.
#[test]
fn a_batching_step_between_others() {
    let shapes = "dims: [ 1, 3 ]";
    let outside = |batch: u32, reshape: &str| {
        format!(
            "max_batch_size: {batch} input {{ name: \"X\" data_type: TYPE_INT32 {shapes} {reshape} }} \
             output {{ name: \"Y\" data_type: TYPE_INT32 {shapes} {reshape} }}"
        )
    };
    let expecting = |name: &str, config: &str, expected: &'static [i64]| -> Arc<Fake> {
        Fake::new(name, config, move |request| {
            let input = request.inputs[0].clone().unwrap();
            assert_eq!(&*input.shape, expected);
            let mut made = response(&request, &[1]);
            made.outputs[0].shape = input.shape;
            request.succeed(made, &ExecutionTimes::now());
        })
    };
    let before = expecting("before", &outside(0, ""), &[1, 3]);
    let network = expecting("network", &outside(1, "reshape { shape: [ 3 ] }"), &[1, 1, 3]);
    let after = expecting("after", &outside(0, ""), &[1, 3]);
    let io = format!(
        "max_batch_size: 0 input {{ name: \"IN\" data_type: TYPE_INT32 {shapes} }} \
         output {{ name: \"OUT\" data_type: TYPE_INT32 {shapes} }} output {{ name: \"HEAT\" data_type: TYPE_INT32 {shapes} }}"
    );
    let steps =
        step("before", "X=IN", "Y=s") + &step("network", "X=s", "Y=HEAT") + &step("after", "X=HEAT", "Y=OUT");
    let ensemble = ensemble(&io, &steps, &[&before, &network, &after]).unwrap();
    let (mut request, receiver) = request(&[Some(1)], Delivery::Once);
    request.inputs[0].as_mut().unwrap().shape = Shape::from([1, 3]);
    ensemble.enqueue(request);
    let response = block_on(receiver.only()).unwrap();
    for output in &response.outputs {
        assert_eq!(output.shape, Shape::from([1, 3]), "output {}", output.index);
    }
    assert_eq!(response.outputs.len(), 2);
}

#[test]
fn the_ensembles_own_reshape_holds_at_its_borders() {
    let model = Fake::new("m", &io("X", "Y"), |request| {
        assert_eq!(request.inputs[0].as_ref().unwrap().shape, Shape::from([1]));
        answer(request, &[5]);
    });
    let io = "input { name: \"IN\" data_type: TYPE_INT32 dims: [ 1, 1 ] reshape { shape: [ 1 ] } } \
              output { name: \"OUT\" data_type: TYPE_INT32 dims: [ 1, 1, 1 ] reshape { shape: [ 1 ] } }";
    let ensemble = ensemble(io, &step("m", "X=IN", "Y=OUT"), &[&model]).unwrap();
    let (mut request, receiver) = request(&[Some(1)], Delivery::Once);
    request.inputs[0].as_mut().unwrap().shape = Shape::from([1, 1]);
    ensemble.enqueue(request);
    assert_eq!(block_on(receiver.only()).unwrap().outputs[0].shape, Shape::from([1, 1, 1]));
}
