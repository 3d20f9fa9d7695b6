//! What stands in the parentheses of `#[rendez::test(explore = 1000, strategy = pct(3))]`: the grammar is that of
//! [`options`](crate::options), and what goes together is decided here.

use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Result};

use crate::options::{self, Errors, Given, Kind};

/// How the body is run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mode {
    /// On workers as in a program.
    #[default]
    Real,
    VirtualTime,
    Explore,
}

use Mode::{Explore, Real, VirtualTime};

impl Mode {
    /// The option that says so.
    fn name(self) -> Option<&'static str> {
        match self {
            Real => None,
            VirtualTime => Some("virtual_time"),
            Explore => Some("explore"),
        }
    }
}

/// The options, in the order in which messages list them, and the modes that each goes with.
const KNOWN: [(&str, Kind, &[Mode]); 11] = [
    ("workers", Kind::Integer("usize"), &[Real]),
    ("stack_size", Kind::Integer("usize"), &[Real]),
    ("seed", Kind::Integer("u64"), &[Real, Explore]),
    ("leaks", Kind::Read(is_allow, "allow"), &[Real, VirtualTime]),
    ("panics", Kind::Read(is_allow, "allow"), &[Real, VirtualTime]),
    ("virtual_time", Kind::Flag, &[VirtualTime]),
    ("explore", Kind::Times, &[Explore]),
    ("strategy", Kind::Read(is_strategy, "random"), &[Explore]),
    ("max_steps", Kind::Integer("u64"), &[Explore]),
    ("shrink", Kind::Integer("usize"), &[Explore]),
    ("early_timers", Kind::Flag, &[Explore]),
];

/// All that was given, in source order, no name twice, and all of it of use in the mode.
#[derive(Default)]
pub(crate) struct TestOptions {
    pub(crate) mode: Mode,
    given: Vec<Given>,
}

impl Parse for TestOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let given = options::parse(input, &KNOWN.map(|(name, kind, _)| (name, kind)))?;
        let mut modes = given
            .iter()
            .filter_map(|option| Some((option, [VirtualTime, Explore].into_iter().find(|m| option.is(*m))?)));
        let (first, second) = (modes.next(), modes.next());
        if let Some((option, _)) = second {
            let text =
                "give one of `virtual_time` and `explore`: what is explored runs in virtual time already";
            return Err(Error::new(option.name.span(), text));
        }
        let mode = first.map_or(Real, |(_, mode)| mode);
        let mut errors = Errors::default();
        for option in &given {
            let (_, _, modes) =
                KNOWN.iter().find(|(name, ..)| option.name == name).expect("it has been parsed");
            if !modes.contains(&mode) {
                errors.push(Error::new(option.name.span(), unfit(&option.name, mode, modes)));
            }
        }
        errors.finish().map(|()| Self { mode, given })
    }
}

impl Given {
    fn is(&self, mode: Mode) -> bool {
        mode.name().is_some_and(|name| self.name == name)
    }
}

/// Why an option does not go with the mode.
fn unfit(option: &Ident, mode: Mode, fits: &[Mode]) -> String {
    match mode.name() {
        Some(name) if fits.contains(&Real) => {
            let others: Vec<String> = KNOWN
                .iter()
                .filter(|(other, _, modes)| modes.contains(&mode) && *other != name)
                .map(|(other, ..)| format!("`{other}`"))
                .collect();
            format!("`{option}` does not go with `{name}`: what does is {}", others.join(", "))
        }
        _ => format!("`{option}` is for tests that explore: expected `explore = NUMBER` beside it"),
    }
}

impl TestOptions {
    /// The calls that set what was given, as methods of `rendez::__private::Test`.
    pub(crate) fn setters(&self) -> impl Iterator<Item = TokenStream> {
        self.given.iter().filter_map(|Given { name, value }| {
            let method = |text: &str| Ident::new(text, name.span());
            Some(match (name.to_string().as_str(), value) {
                ("virtual_time", _) | ("explore", None) => return None,
                ("explore", Some(value)) => {
                    let iterations = method("iterations");
                    quote!(.#iterations(#value))
                }
                ("strategy", Some(value)) => {
                    let strategy = Strategy::read(value).expect("it has been read before");
                    quote!(.#name(#strategy))
                }
                ("leaks" | "panics", Some(_)) => {
                    let allow = method(&format!("allow_{name}"));
                    quote!(.#allow())
                }
                (_, value) => quote!(.#name(#value)),
            })
        })
    }
}

fn is_allow(name: &Ident, value: &Expr) -> Result<()> {
    match value {
        Expr::Path(path) if path.path.is_ident("allow") => Ok(()),
        _ => Err(Error::new_spanned(
            value,
            format!("expected `{name} = allow`; without that, they fail the test"),
        )),
    }
}

fn is_strategy(_: &Ident, value: &Expr) -> Result<()> {
    Strategy::read(value).map(drop)
}

/// What follows `strategy =`.
enum Strategy<'a> {
    Random,
    Pct(&'a Expr),
    Exhaustive(Option<&'a Expr>),
}

impl<'a> Strategy<'a> {
    fn read(value: &'a Expr) -> Result<Self> {
        let (word, arguments) = match value {
            Expr::Call(call) => (&*call.func, Some(&call.args)),
            other => (other, None),
        };
        let word = match word {
            Expr::Path(path) => path.path.get_ident().map_or_else(String::new, Ident::to_string),
            _ => String::new(),
        };
        let only = arguments.and_then(|all| if all.len() == 1 { all.first() } else { None });
        match (word.as_str(), arguments.is_some(), only) {
            ("random", false, _) => Ok(Strategy::Random),
            ("pct", true, Some(depth)) => Ok(Strategy::Pct(depth)),
            ("pct", ..) => Err(Error::new_spanned(value, "expected a depth: `pct(3)`")),
            ("exhaustive", false, _) => Ok(Strategy::Exhaustive(None)),
            ("exhaustive", true, Some(bound)) => Ok(Strategy::Exhaustive(Some(bound))),
            ("exhaustive", ..) => {
                let text =
                    "expected `exhaustive`, or with the most preemptions there may be: `exhaustive(2)`";
                Err(Error::new_spanned(value, text))
            }
            _ => {
                let text = "expected one of `random`, `pct(DEPTH)`, `exhaustive`, `exhaustive(PREEMPTIONS)`";
                Err(Error::new_spanned(value, text))
            }
        }
    }
}

impl ToTokens for Strategy<'_> {
    fn to_tokens(&self, tokens: &mut TokenStream) {
        let variant = match self {
            Strategy::Random => quote!(Random),
            Strategy::Pct(depth) => quote!(Pct { depth: #depth }),
            Strategy::Exhaustive(None) => {
                quote!(Exhaustive { preemptions: ::core::option::Option::None })
            }
            Strategy::Exhaustive(Some(bound)) => {
                quote!(Exhaustive { preemptions: ::core::option::Option::Some(#bound) })
            }
        };
        tokens.extend(quote!(::rendez::testing::Strategy::#variant));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(tokens: TokenStream) -> Result<(Mode, String)> {
        let options: TestOptions = syn::parse2(tokens)?;
        let setters: Vec<String> = options.setters().map(|s| s.to_string().replace(' ', "")).collect();
        Ok((options.mode, setters.concat()))
    }

    fn refusals(tokens: TokenStream) -> Vec<String> {
        let error = parse(tokens).expect_err("these options should be refused");
        error.into_iter().map(|e| e.to_string()).collect()
    }

    #[test]
    fn a_test_without_options_is_on_real_workers() {
        assert_eq!(parse(quote!()).unwrap(), (Real, String::new()));
        let (mode, setters) = parse(quote!(workers = 2, stack_size = 64 * KIB, seed = 7)).unwrap();
        assert_eq!((mode, &*setters), (Real, ".workers(2).stack_size(64*KIB).seed(7)"));
    }

    #[test]
    fn leaks_and_panics_may_be_allowed_outside_of_explorations() {
        let (mode, setters) = parse(quote!(virtual_time, leaks = allow, panics = allow)).unwrap();
        assert_eq!((mode, &*setters), (VirtualTime, ".allow_leaks().allow_panics()"));
        assert_eq!(
            refusals(quote!(leaks = deny)),
            ["expected `leaks = allow`; without that, they fail the test"]
        );
        let told = refusals(quote!(explore = 10, leaks = allow));
        assert_eq!(
            told,
            ["`leaks` does not go with `explore`: what does is `seed`, `strategy`, `max_steps`, `shrink`, \
              `early_timers`"]
        );
    }

    #[test]
    fn an_exploration_takes_a_number_or_none_and_its_own_options() {
        assert_eq!(parse(quote!(explore)).unwrap(), (Explore, String::new()));
        let (mode, setters) =
            parse(quote!(explore = 10, seed = 1, max_steps = N, shrink = 0, early_timers)).unwrap();
        assert_eq!(
            (mode, &*setters),
            (Explore, ".iterations(10).seed(1).max_steps(N).shrink(0).early_timers()")
        );
    }

    #[test]
    fn strategies_are_words() {
        for (word, variant) in [
            (quote!(random), "Random"),
            (quote!(pct(1 + 2)), "Pct{depth:1+2}"),
            (quote!(exhaustive), "Exhaustive{preemptions:::core::option::Option::None}"),
            (quote!(exhaustive(2)), "Exhaustive{preemptions:::core::option::Option::Some(2)}"),
        ] {
            let (_, setters) = parse(quote!(explore, strategy = #word)).unwrap();
            assert_eq!(setters, format!(".strategy(::rendez::testing::Strategy::{variant})"));
        }
    }

    #[test]
    fn other_strategies_are_told_with_the_words_there_are() {
        let words = "expected one of `random`, `pct(DEPTH)`, `exhaustive`, `exhaustive(PREEMPTIONS)`";
        for (word, told) in [
            (quote!(pxt(3)), words),
            (quote!(Strategy::Random), words),
            (quote!(random(3)), words),
            (quote!(3), words),
            (quote!(pct), "expected a depth: `pct(3)`"),
            (quote!(pct(1, 2)), "expected a depth: `pct(3)`"),
        ] {
            assert_eq!(refusals(quote!(explore, strategy = #word)), [told]);
        }
    }

    #[test]
    fn one_way_to_run_is_enough() {
        let told = "give one of `virtual_time` and `explore`: what is explored runs in virtual time already";
        assert_eq!(refusals(quote!(virtual_time, explore = 1)), [told]);
        assert_eq!(refusals(quote!(explore, virtual_time)), [told]);
    }

    #[test]
    fn options_that_would_do_nothing_are_refused_each() {
        assert_eq!(
            refusals(quote!(strategy = random, workers = 2, max_steps = 5)),
            [
                "`strategy` is for tests that explore: expected `explore = NUMBER` beside it",
                "`max_steps` is for tests that explore: expected `explore = NUMBER` beside it"
            ]
        );
        assert_eq!(
            refusals(quote!(virtual_time, workers = 2, early_timers)),
            [
                "`workers` does not go with `virtual_time`: what does is `leaks`, `panics`",
                "`early_timers` is for tests that explore: expected `explore = NUMBER` beside it"
            ]
        );
    }

    #[test]
    fn flags_take_no_value_and_nothing_is_explored_in_no_schedule() {
        assert_eq!(refusals(quote!(virtual_time = true)), ["`virtual_time` takes no value"]);
        assert_eq!(refusals(quote!(explore, early_timers(1))), ["`early_timers` takes no value"]);
        assert_eq!(refusals(quote!(explore = 0)), ["expected 1 or more for `explore`"]);
        assert_eq!(
            refusals(quote!(explore = "many")),
            ["`explore` is a number: expected an expression of type `usize`"]
        );
        assert_eq!(refusals(quote!(explore(10))), ["expected a value: `explore = NUMBER`"]);
    }
}
