use super::*;
use crate::messages::{Attribute, FunctionDef, FunctionLibrary, FunctionName, OpDef};

fn node(name: &str, operation: &str, inputs: &[&str]) -> NodeDef {
    NodeDef {
        name: name.into(),
        operation: operation.into(),
        inputs: inputs.iter().map(|&input| input.into()).collect(),
        ..NodeDef::default()
    }
}

fn calling(name: &str, function: &str, inputs: &[&str]) -> NodeDef {
    let attribute = Attribute { function: Some(FunctionName { name: function.into() }), list: None };
    NodeDef { attributes: [("f".into(), attribute)].into(), ..node(name, "StatefulPartitionedCall", inputs) }
}

fn function(name: &str, nodes: Vec<NodeDef>) -> FunctionDef {
    FunctionDef { signature: Some(OpDef { name: name.into(), is_stateful: false }), nodes }
}

fn stateful() -> BTreeSet<String> {
    ["AssignVariableOp", "StatefulPartitionedCall", "ReadVariableOp", "VarHandleOp"].map(String::from).into()
}

fn reached(graph: &GraphDef, outputs: &[&str], fed: &[&str]) -> Reached {
    reach(graph, outputs.iter().copied(), &fed.iter().copied().collect(), &stateful())
}

#[test]
fn only_what_runs_counts() {
    let nodes = vec![
        node("x", PLACEHOLDER, &[]),
        node("y", PLACEHOLDER, &[]),
        node("unused", PLACEHOLDER, &[]),
        node("v", "VarHandleOp", &[]),
        node("read", "ReadVariableOp", &["v"]),
        node("sum", "AddV2", &["x", "read"]),
        node("both", "AddV2", &["sum", "y:0"]),
        node("keep", "AssignVariableOp", &["v", "x"]),
        node("after", "Identity", &["x", "^keep"]),
    ];
    let graph = GraphDef { nodes, library: None };
    let nothing = Reached::default();
    assert_eq!(reached(&graph, &["sum"], &["x"]), nothing);
    assert_eq!(reached(&graph, &["both:0"], &["x"]), Reached { unfed: vec!["y".into()], ..nothing.clone() });
    assert_eq!(reached(&graph, &["both"], &["sum", "y"]), nothing, "what is fed is not run");
    let keeper = Some("AssignVariableOp".to_owned());
    let after = reached(&graph, &["after"], &["x"]);
    let operations: Vec<&str> = after.operations.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(operations, ["AssignVariableOp", "Identity", "VarHandleOp"]);
    assert_eq!(Reached { operations: Vec::new(), ..after }, Reached { keeper, ..nothing });
    assert_eq!(ends(&graph), ["both", "after"]);
}

#[test]
fn functions_are_looked_into_once() {
    let nodes =
        vec![node("x", PLACEHOLDER, &[]), calling("y", "outer", &["x"]), calling("z", "pure", &["x"])];
    let functions = vec![
        function("outer", vec![node("inner_call", "inner", &["x"])]),
        function(
            "inner",
            vec![
                node("a", "AssignVariableOp", &["v", "x"]),
                calling("again", "outer", &[]),
                node("b", "pure", &[]),
            ],
        ),
        function("pure", vec![node("b", "ReadVariableOp", &["v"])]),
    ];
    let graph = GraphDef { nodes, library: Some(FunctionLibrary { functions }) };
    let of_y = reached(&graph, &["y"], &["x"]);
    assert_eq!(of_y.keeper.as_deref(), Some("AssignVariableOp"));
    let operations: Vec<_> =
        of_y.operations.iter().map(|(name, function)| (&**name, function.as_deref())).collect();
    let expected = [
        ("AssignVariableOp", Some("inner")),
        ("ReadVariableOp", Some("pure")),
        ("StatefulPartitionedCall", None),
    ];
    assert_eq!(operations, expected, "the call of a function by its name is no operation");
    assert_eq!(reached(&graph, &["z"], &["x"]).keeper, None);
}

#[test]
fn a_circle_ends() {
    let nodes = vec![node("a", "Merge", &["b", "a"]), node("b", "NextIteration", &["a"])];
    assert_eq!(reached(&GraphDef { nodes, library: None }, &["a"], &[]), Reached::default());
}
