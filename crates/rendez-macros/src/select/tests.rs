//! On token streams: what is read, what is said of mistakes, and what is written.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Expr, Stmt};

use super::expand::expand;
use super::parse::{Operation, Select};

fn parse(tokens: TokenStream) -> Select {
    syn::parse2(tokens).expect("parsing keeps its errors to itself")
}

/// Without spaces.
fn text(tokens: impl ToTokens) -> String {
    tokens.to_token_stream().to_string().replace(' ', "")
}

/// Arm by arm: the operation with its operands, the pattern, the body.
fn arms(tokens: TokenStream) -> Vec<String> {
    let select = parse(tokens);
    let errors: Vec<String> = select.errors.iter().map(ToString::to_string).collect();
    assert!(errors.is_empty(), "{errors:?}");
    readable(&select)
}

fn readable(select: &Select) -> Vec<String> {
    let arm = |arm: &super::parse::Arm| {
        let operation = match &arm.operation {
            Operation::Recv(rx) => format!("recv {}", text(rx)),
            Operation::Send(tx, value) => format!("send {} {}", text(tx), text(value)),
            Operation::SendTake(tx, slot) => format!("take {} {}", text(tx), text(slot)),
            Operation::Wait(event) => format!("wait {}", text(event)),
            Operation::Default => String::from("default"),
            Operation::DefaultAfter(duration) => format!("default {}", text(duration)),
        };
        let pattern = arm.pattern.as_ref().map_or(String::from("-"), text);
        format!("{operation} | {pattern} | {}", text(&arm.body))
    };
    select.arms.iter().map(arm).collect()
}

/// What is said of a broken macro, and what of it was understood nevertheless.
fn told(tokens: TokenStream) -> (Vec<String>, Vec<String>) {
    let select = parse(tokens);
    let errors = select.errors.iter().flat_map(|error| error.clone().into_iter());
    (errors.map(|error| error.to_string()).collect(), readable(&select))
}

#[test]
fn every_form_is_read() {
    let read = arms(quote! {
        recv(rx) -> n => n + 1,
        send(&tx, a + b) -> Ok(()) | Err(_) => { drop(b) }
        send(self.tx, take self.slot) -> _ => break,
        wait(handle) => {},
        default(d) => return,
    });
    assert_eq!(
        read,
        [
            "recv rx | n | n+1",
            "send &tx a+b | Ok(())|Err(_) | {drop(b)}",
            "take self.tx self.slot | _ | break",
            "wait handle | - | {}",
            "default d | - | return",
        ]
    );
}

#[test]
fn take_is_a_keyword_before_a_place_only() {
    let value =
        |tokens: TokenStream| arms(quote!(send(tx, #tokens) => {})).remove(0).replace(" | - | {}", "");
    for place in [quote!(slot), quote!(self.a.b), quote!(*p), quote!(v[0]), quote!(crate::S), quote!(take)] {
        assert_eq!(value(quote!(take #place)), format!("take tx {}", text(&place)));
    }
    for expression in [
        quote!(take),
        quote!(take(x)),
        quote!(take.field),
        quote!(take[0]),
        quote!(take::new()),
        quote!(take!(slot)),
        quote!(take { x }),
        quote!(take as u8),
        quote!(take + 1),
        quote!(take & mask),
        quote!(r#take),
    ] {
        assert_eq!(value(expression.clone()), format!("send tx {}", text(&expression)));
    }
}

#[test]
fn biased_comes_first_and_only_there() {
    assert!(parse(quote!(biased; recv(rx) => {})).biased);
    assert!(!parse(quote!(recv(rx) => {})).biased);
    let (errors, arms) = told(quote!(recv(a) => {} biased; recv(b) => {}));
    assert_eq!(errors, ["`biased;` goes before the first arm"]);
    assert_eq!(arms, ["recv a | - | {}", "recv b | - | {}"]);
    let (errors, arms) = told(quote!(biased, recv(a) => {}));
    assert_eq!(errors, ["expected `;` after `biased`"]);
    assert_eq!(arms, ["recv a | - | {}"]);
}

#[test]
fn each_broken_arm_is_told_and_the_others_are_kept() {
    let (errors, arms) = told(quote! {
        recv(a) -> n => 1,
        recv(a, b) -> n => { 2 }
        send(c) -> n => 3,
        recv(d) -> n { 4 }
        jump(e) -> n => { x } recv(f) => { 5 },
        recv(g) -> n => 6 +,
        default => 7,
    });
    assert_eq!(arms, ["recv a | n | 1", "recv f | - | {5}", "default | - | 7"]);
    let starts: Vec<&str> = errors.iter().map(|error| &error[..20]).collect();
    assert_eq!(
        starts,
        [
            "one operand too many",
            "expected two operand",
            "expected `=>` before",
            "unknown operation `j",
            "expected an expressi"
        ]
    );
}

#[test]
fn a_body_without_its_arrow_ends_its_arm() {
    let (errors, arms) =
        told(quote!(recv(a) -> n { 1 } recv(b) { 2 } wait(c) -> n { 3 } recv(d) => { 4 } default {}));
    assert_eq!(
        errors,
        [
            "expected `=>` before the body",
            "expected `-> PATTERN => BODY` or `=> BODY` after `recv(..)`",
            "expected `=>` before the body",
            "expected `=>` and a body after `default`"
        ]
    );
    assert_eq!(arms, ["recv d | - | {4}"]);
}

#[test]
fn patterns_may_look_like_arms_and_bodies() {
    let read = arms(quote!(recv(a) -> default => 1, recv(a) -> S { x } => 2, recv(a) -> a::S(x) => 3));
    assert_eq!(read, ["recv a | default | 1", "recv a | S{x} | 2", "recv a | a::S(x) | 3"]);
}

#[test]
fn an_arm_after_a_forgotten_comma_is_understood() {
    let (errors, arms) = told(quote!(recv(a) => f() send(b, 1) -> _ => g() default => {}));
    assert_eq!(errors, ["expected `,` after the body of an arm"; 2]);
    assert_eq!(arms, ["recv a | - | f()", "send b 1 | _ | g()", "default | - | {}"]);
}

#[test]
fn a_name_that_is_nearly_right_is_taken_for_what_it_seems_to_mean() {
    let (errors, arms) = told(quote!(receive(rx) -> n => n));
    assert_eq!(
        errors,
        [
            "unknown operation `receive`: expected one of `recv`, `send`, `wait`, `default`; did you mean `recv`?"
        ]
    );
    assert_eq!(arms, ["recv rx | n | n"]);
}

#[test]
fn an_arm_that_is_the_call_of_a_method_is_told_how_operations_are_written() {
    for arm in [quote!(rx.recv() -> v => v), quote!(self.timer.tick() => {}), quote!(ctx.done() => return)] {
        let (errors, arms) = told(quote!(recv(a) -> n => n, #arm, send(tx, 1) => 2));
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(
            error.ends_with(
                "begins no operation: it is `recv(rx)`, `send(tx, value)`, or of an event `wait(event)`"
            ),
            "{error}"
        );
        assert_eq!(arms, ["recv a | n | n", "send tx 1 | - | 2"], "{arm}");
    }
}

#[test]
fn an_arm_that_begins_with_its_pattern_is_told_so_and_the_others_are_read() {
    for arm in [quote!(v = rx.recv() => v), quote!(Ok(v) = rx.recv() => { v }), quote!(_ = timer => 1)] {
        let (errors, arms) = told(quote!(recv(a) -> n => n, #arm, send(tx, 1) => 2));
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert!(error.starts_with("the operation comes first"), "{error}");
        assert_eq!(arms, ["recv a | n | n", "send tx 1 | - | 2"], "{arm}");
    }
}

#[test]
fn who_writes_another_sign_for_the_arrow_is_not_told_that_the_operation_comes_first() {
    for (arm, word) in [
        (quote!(recv(rx) = v => v), "recv"),
        (quote!(wait(event) = _ => 1), "wait"),
        (quote!(recv(rx) == v => v), "recv"),
    ] {
        let (errors, arms) = told(quote!(recv(a) -> n => n, #arm, send(tx, 1) => 2));
        let [error] = &errors[..] else { panic!("{errors:?}") };
        assert_eq!(*error, format!("expected `-> PATTERN => BODY` or `=> BODY` after `{word}(..)`"));
        assert_eq!(arms, ["recv a | n | n", "send tx 1 | - | 2"], "{arm}");
    }
}

#[test]
fn of_two_defaults_the_first_is_kept() {
    let (errors, arms) = told(quote!(default => 1, default(d) => 2));
    assert_eq!(errors, ["a second `default`: `select!` takes one at most", "the first `default` is here"]);
    assert_eq!(arms, ["default | - | 1"]);
}

#[test]
fn what_stands_inside_a_block_is_left_to_the_compiler() {
    assert_eq!(arms(quote!(recv(rx) => { let 1 + ; })), ["recv rx | - | {let1+;}"]);
    assert_eq!(
        arms(quote!(recv(rx) => { a }.b(), default => c)),
        ["recv rx | - | {a}.b()", "default | - | c"]
    );
}

/// The statements of the expansion, which is a block, and any errors.
fn expansion(tokens: TokenStream) -> Vec<Stmt> {
    match syn::parse2(expand(tokens)).expect("the expansion is an expression") {
        Expr::Block(block) => block.block.stmts,
        _ => panic!("the expansion is a block"),
    }
}

#[test]
fn an_expansion_evaluates_then_waits_then_runs_a_body() {
    let stmts = expansion(quote! {
        biased;
        recv(rx) -> n => n,
        send(tx, take slot) => { a }
        default(d) => c,
    });
    let [result, chosen, wait, bodies] = &stmts[..] else {
        panic!("an enum, a place for it, a wait and the bodies, not {}", stmts.len())
    };
    assert_eq!(text(chosen), "letchosen;");
    assert_eq!(text(result), "enum__Chosen<T0,T1>{Arm0(T0),Arm1(T1),Default}");
    assert_eq!(
        text(wait),
        "match(\
         ::rendez::__private::recv(&(rx)),\
         ::rendez::__private::send_take(&(tx),&mut(slot)),\
         {letduration:::core::time::Duration=d;duration},\
         ){(mutarm0,mutarm1,duration,)=>\
         chosen=match::rendez::__private::block_for(&mut[&mutarm0,&mutarm1],true,duration){\
         ::core::option::Option::Some(0)=>__Chosen::Arm0(::rendez::__private::finish(&mutarm0)),\
         ::core::option::Option::Some(_)=>__Chosen::Arm1(::rendez::__private::finish(&mutarm1)),\
         ::core::option::Option::None=>__Chosen::Default,},};"
    );
    assert_eq!(
        text(bodies),
        "matchchosen{\
         __Chosen::Arm0(_)=>{letvalue=match{chosen}{__Chosen::Arm0(value)=>value,_=>::core::unreachable!()};\
         letn=value;n}\
         __Chosen::Arm1(_)=>{letvalue=match{chosen}{__Chosen::Arm1(value)=>value,_=>::core::unreachable!()};\
         match{value}{_=>{}}{a}}\
         __Chosen::Default=>{match{chosen}{_=>{}}c}}"
    );
}

#[test]
fn the_wait_is_the_one_that_the_arms_ask_for() {
    let wait = |tokens| text(&expansion(tokens)[2]);
    assert!(
        wait(quote!(recv(rx) => {})).contains("match::rendez::__private::block(&mut[&mutarm0],false){_=>")
    );
    assert!(
        wait(quote!(recv(rx) => {} default => {}))
            .contains("::rendez::__private::try_now(&mut[&mutarm0],false)")
    );
    assert!(wait(quote!(default(d) => {})).contains("::rendez::__private::block_for(&mut[],false,duration)"));
    assert_eq!(text(expand(quote!(default => f()))), "{f()}");
    assert_eq!(text(expand(quote!())), "{::rendez::__private::forever()}");
}

#[test]
fn a_conditional_arm_keeps_its_place() {
    let stmts = expansion(quote! {
        #[cfg(unix)]
        #[cfg(test)]
        recv(a) => {}
        recv(b) => {}
    });
    let (wait, bodies) = (text(&stmts[2]), text(&stmts[3]));
    assert!(
        wait.contains("#[cfg(all(unix,test))]::rendez::__private::recv(&(a)),#[cfg(not(all(unix,test)))]")
    );
    assert!(wait.contains("(mutarm0,mutarm1,)"));
    assert!(bodies.contains("#[cfg(not(all(unix,test)))]__Chosen::Arm0(_)=>::core::unreachable!(),"));
}

#[test]
fn a_broken_macro_expands_to_its_errors_and_to_what_is_whole() {
    let stmts = expansion(quote!(recv(rx) => {} recv() => {} jump(x) => {}));
    assert_eq!(stmts.iter().filter(|stmt| text(stmt).contains("compile_error!")).count(), 2);
    assert!(text(stmts.last()).contains("__Chosen::Arm0(_)"));
    let stmts = expansion(quote!(recv() => {}));
    assert_eq!(stmts.len(), 1, "nothing but the error");
}
