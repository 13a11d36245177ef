use super::*;

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn node(domain: &str, operator: &str, inputs: &[&str], outputs: &[&str]) -> Node {
    let (domain, operator) = (domain.to_owned(), operator.to_owned());
    Node { domain, operator, inputs: names(inputs), outputs: names(outputs), ..Node::default() }
}

fn file(nodes: Vec<Node>, inputs: &[&str], initializers: &[&str]) -> ModelFile {
    ModelFile { nodes, inputs: names(inputs), initializers: names(initializers), ..ModelFile::default() }
}

/// The error of a model with such nodes for an input of that shape.
fn refused(guard: &Guard, shape: &[i64]) -> Option<String> {
    let tensor = (DataType::Fp32, &Shape::from(shape), &[][..]);
    guard.for_input("x").check("m", || "x".to_owned(), tensor).err().map(|error| error.reason())
}

/// A table with further operators.
const MORE: &[Guarded] = &[guarded("", "Neg", &[0]), guarded("own", "Second", &[1])];

#[test]
fn every_operator_of_the_table_is_guarded_by_each_of_its_inputs() {
    for each in OPERATORS.iter().chain(MORE) {
        let table = if MORE.iter().any(|more| more.operator == each.operator) { MORE } else { OPERATORS };
        for index in each.inputs {
            let mut inputs = vec!["w"; 8];
            inputs[*index] = "x";
            let file = file(vec![node(each.domain, each.operator, &inputs, &["y"])], &["x"], &["w"]);
            let guard = Guard::by(table, &file);
            assert_eq!(guard.operator, Some(each.operator), "by input {index}");
            for shape in [&[0][..], &[2, 0], &[0, 3, 4]] {
                let expected = format!(
                    "Invalid argument: input 'x' of model 'm' was expected to have elements, got shape {}: the model's \
                     operator {} does not take an empty tensor",
                    Shape::from(shape),
                    each.operator
                );
                assert_eq!(refused(&guard, shape), Some(expected));
            }
            assert_eq!(refused(&guard, &[1, 2]), None);
            assert_eq!(refused(&guard, &[]), None, "a scalar has an element");
        }
        let none = file(vec![node(each.domain, each.operator, &["w"; 8], &["y"])], &["x"], &["w"]);
        assert_eq!(
            Guard::by(table, &none),
            Guard::default(),
            "{} of nothing that a request gives",
            each.operator
        );
    }
}

#[test]
fn an_operator_is_one_of_a_domain() {
    let guard = |domain: &str, operator: &str| {
        Guard::by(MORE, &file(vec![node(domain, operator, &["x", "x"], &["y"])], &["x"], &[]))
    };
    assert_eq!(guard("ai.onnx", "Neg").operator, Some("Neg"));
    assert_eq!(guard("own", "Neg").operator, None);
    assert_eq!(guard("", "Second").operator, None);
    assert_eq!(refused(&guard("", "Abs"), &[0]), None);
}

#[test]
fn what_no_request_changes_is_followed_through_the_graph() {
    let guarded_by = |first: Node, inputs: &[&str]| {
        let second = node("own", "Second", &["x", "t"], &["y"]);
        Guard::by(MORE, &file(vec![first, second], inputs, &["w"])).operator.is_some()
    };
    assert!(!guarded_by(node("", "DequantizeLinear", &["w", ""], &["t"]), &["x"]));
    assert!(!guarded_by(node("", "Constant", &[], &["t"]), &["x"]));
    assert!(guarded_by(node("", "Add", &["w", "x"], &["t"]), &["x"]));
    assert!(
        guarded_by(node("", "Abs", &["w"], &["t"]), &["x", "w"]),
        "an initializer that a request may replace"
    );
    let with_graphs = Node { has_graphs: true, ..node("", "If", &["w"], &["t"]) };
    assert!(guarded_by(with_graphs, &["x"]), "what its graphs see is not looked at");
}

#[test]
fn where_nothing_is_known_of_tensors_the_operator_is_enough() {
    let opaque = |operator: &str| Node { is_opaque: true, ..node("", operator, &["w"], &["y"]) };
    let guard = |operator| Guard::by(MORE, &file(vec![opaque(operator)], &[], &["w"])).operator;
    assert_eq!((guard("Neg"), guard("Second"), guard("Abs")), (Some("Neg"), Some("Second"), None));
}

#[test]
fn a_dividend_is_followed_to_the_input_that_it_comes_from() {
    let divided = |nodes: Vec<Node>| {
        Guard::of(&file(nodes, &["a", "b"], &["w"])).divided.iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(divided(vec![node("", "Div", &["a", "b"], &["y"])]), ["a"]);
    assert_eq!(divided(vec![node("ai.onnx", "Mod", &["b", "a"], &["y"])]), ["b"]);
    let reshape = node("", "Reshape", &["a", "w"], &["t"]);
    assert_eq!(divided(vec![reshape, node("", "Div", &["t", "b"], &["y"])]), ["a"]);
    for harmless in [
        node("", "Div", &["a", "w"], &["y"]),
        node("", "Div", &["w", "a"], &["y"]),
        node("", "Add", &["a", "b"], &["y"]),
        node("own", "Div", &["a", "b"], &["y"]),
    ] {
        assert_eq!(divided(vec![harmless]), [""; 0]);
    }
}

#[test]
fn the_smallest_number_is_refused_where_it_is_divided() {
    let guard = Guard::of(&file(vec![node("", "Div", &["a", "b"], &["y"])], &["a", "b"], &[]));
    let check = |input: &str, data_type, data: &[u8]| {
        guard.for_input(input).check("m", || input.to_owned(), (data_type, &Shape::from([2]), data)).err()
    };
    let int32 = |second: i32| [7i32.to_le_bytes(), second.to_le_bytes()].concat();
    let int64 = |second: i64| [7i64.to_le_bytes(), second.to_le_bytes()].concat();
    assert_eq!(
        check("a", DataType::Int32, &int32(i32::MIN)).unwrap().reason(),
        "Invalid argument: input 'a' of model 'm' has the smallest number that there is in INT32, which the model cannot divide"
    );
    assert!(check("a", DataType::Int64, &int64(i64::MIN)).is_some());
    assert!(check("a", DataType::Int32, &int32(i32::MIN + 1)).is_none());
    assert!(check("a", DataType::Fp32, &int32(i32::MIN)).is_none());
    assert!(check("a", DataType::Int64, &int64(i64::from(i32::MIN) << 31)).is_none());
    assert!(check("b", DataType::Int32, &int32(i32::MIN)).is_none(), "it divides by this one");
}
