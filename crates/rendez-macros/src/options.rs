//! What stands in the parentheses of `#[rendez::main(workers = 4)]` and of `#[rendez::test(explore = 1000)]`.
//!
//! ```text
//! options := [ option { "," option } [ "," ] ]
//! option  := NAME [ "=" EXPRESSION ]
//! ```
//!
//! Which names there are, and what may follow each, is in a table of the macro's ([`main`](KNOWN_OF_MAIN) here,
//! [`test`](crate::test_options) elsewhere). Expressions go on with their own spans, so that the compiler checks their types
//! where they were written. Only a literal of the wrong kind is refused here: there, this macro can say it better than
//! "mismatched types".
//!
//! All that is wrong is told, each at its token, up to the first place behind which it can't be known where the next option
//! begins.

use proc_macro2::Span;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, Result, Token};

/// What may follow a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// An integer; the text names the exact type.
    Integer(&'static str),
    /// A value that no literal can be: its type, and one of them.
    Path(&'static str, &'static str),
    /// Nothing.
    Flag,
    /// How many times, of type `usize`: from one up, or nothing, and then it is not said.
    Times,
    /// What a function of the macro's reads, and one such.
    Read(fn(&Ident, &Expr) -> Result<()>, &'static str),
}

/// The options of a macro, in the order in which messages list them.
pub(crate) type Known = [(&'static str, Kind)];

/// One option as it was written; its name is one of the known ones, and what follows it of that one's kind.
pub(crate) struct Given {
    pub(crate) name: Ident,
    pub(crate) value: Option<Expr>,
}

/// The names are those of the methods of `rendez::RuntimeBuilder`.
const KNOWN_OF_MAIN: [(&str, Kind); 4] = [
    ("workers", Kind::Integer("usize")),
    ("stack_size", Kind::Integer("usize")),
    ("seed", Kind::Integer("u64")),
    ("panic_policy", Kind::Path("rendez::PanicPolicy", "rendez::PanicPolicy::Exit")),
];

/// All that was given to `#[rendez::main]`, in source order, no name twice.
#[derive(Default)]
pub(crate) struct MainOptions(pub(crate) Vec<Given>);

impl Parse for MainOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        parse(input, &KNOWN_OF_MAIN).map(Self)
    }
}

/// All options, in source order, no name twice; or all that is wrong with them.
pub(crate) fn parse(input: ParseStream<'_>, known: &Known) -> Result<Vec<Given>> {
    let mut options: Vec<Given> = Vec::new();
    let mut errors = Errors::default();
    while !input.is_empty() {
        let before = input.cursor();
        match one(input, known) {
            Ok(option) if options.iter().any(|earlier| earlier.name == option.name) => {
                errors.push(Error::new(option.name.span(), format!("`{}` is given twice", option.name)));
            }
            Ok(option) => options.push(option),
            Err(error) => {
                errors.push(error);
                // At a comma, or the end, it is known how to go on.
                if input.cursor() == before || !(input.is_empty() || input.peek(Token![,])) {
                    break;
                }
            }
        }
        if !input.is_empty() && input.parse::<Token![,]>().is_err() {
            errors.push(input.error("expected `,` before the next option"));
            break;
        }
    }
    if !errors.is_empty() {
        // What is left is no other mistake.
        input.step(|cursor| {
            let mut rest = *cursor;
            while let Some((_, next)) = rest.token_tree() {
                rest = next;
            }
            Ok(((), rest))
        })?;
    }
    errors.finish().map(|()| options)
}

fn one(input: ParseStream<'_>, known: &Known) -> Result<Given> {
    let name: Ident =
        input.parse().map_err(|e| Error::new(e.span(), format!("expected {}", names_of(known))))?;
    let Some((_, kind)) = known.iter().find(|(known, _)| name == *known) else {
        let error = Error::new(name.span(), format!("unknown option `{name}`: expected {}", names_of(known)));
        // What is said to it is not looked at.
        if input.parse::<Token![=]>().is_ok() {
            let _ = input.parse::<Expr>();
        }
        return Err(error);
    };
    let equals: Option<Token![=]> = input.parse()?;
    let at_end = input.is_empty() || input.peek(Token![,]);
    let missing = |span: Span| {
        let example = kind.example();
        Err(Error::new(span, format!("expected a value: `{name} = {example}`")))
    };
    match (kind, equals) {
        (Kind::Flag | Kind::Times, None) if at_end => return Ok(Given { name, value: None }),
        (Kind::Flag, _) => {
            let span = equals.map_or_else(|| input.span(), |token| token.span);
            let _ = input.parse::<Expr>();
            return Err(Error::new(span, format!("`{name}` takes no value")));
        }
        (_, Some(equals)) if at_end => return missing(equals.span),
        (_, None) => return missing(if input.is_empty() { name.span() } else { input.span() }),
        (_, Some(_)) => {}
    }
    let value: Expr = input.parse()?;
    kind.check(&name, &value)?;
    Ok(Given { name, value: Some(value) })
}

impl Kind {
    fn example(self) -> &'static str {
        match self {
            Kind::Integer(_) | Kind::Times => "NUMBER",
            Kind::Path(_, example) | Kind::Read(_, example) => example,
            Kind::Flag => unreachable!("it takes no value"),
        }
    }

    /// Refuses a literal that can't be right; leaves all other expressions to the compiler.
    fn check(self, name: &Ident, value: &Expr) -> Result<()> {
        if let Kind::Read(read, _) = self {
            return read(name, value);
        }
        let Expr::Lit(ExprLit { lit, .. }) = value else { return Ok(()) };
        match (self, lit) {
            (Kind::Times, Lit::Int(number)) if number.base10_digits() == "0" => {
                Err(Error::new_spanned(lit, format!("expected 1 or more for `{name}`")))
            }
            (Kind::Integer(_) | Kind::Times, Lit::Int(_)) => Ok(()),
            (Kind::Path(ty, _), _) => {
                Err(Error::new_spanned(lit, format!("expected an expression of type `{ty}` for `{name}`")))
            }
            (Kind::Integer(_) | Kind::Times | Kind::Flag | Kind::Read(..), _) => {
                let ty = if let Kind::Integer(ty) = self { ty } else { "usize" };
                let text = format!("`{name}` is a number: expected an expression of type `{ty}`");
                Err(Error::new_spanned(lit, text))
            }
        }
    }
}

/// "one of `workers`, `stack_size`, ...", for messages.
fn names_of(known: &Known) -> String {
    let names: Vec<String> = known.iter().map(|(name, _)| format!("`{name}`")).collect();
    format!("one of {}", names.join(", "))
}

/// What is wrong, to be told together.
#[derive(Default)]
pub(crate) struct Errors(Option<Error>);

impl Errors {
    pub(crate) fn push(&mut self, error: Error) {
        match &mut self.0 {
            Some(all) => all.combine(error),
            None => self.0 = Some(error),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(crate) fn finish(self) -> Result<()> {
        self.0.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::quote;

    fn parse(tokens: proc_macro2::TokenStream) -> Result<Vec<(String, String)>> {
        let options: MainOptions = syn::parse2(tokens)?;
        Ok(options
            .0
            .iter()
            .map(|o| {
                let value = &o.value;
                (o.name.to_string(), quote!(#value).to_string())
            })
            .collect())
    }

    fn refusals(tokens: proc_macro2::TokenStream) -> Vec<String> {
        let error = parse(tokens).expect_err("these options should be refused");
        error.into_iter().map(|e| e.to_string()).collect()
    }

    fn refusal(tokens: proc_macro2::TokenStream) -> String {
        let told = refusals(tokens);
        assert_eq!(told.len(), 1, "{told:?}");
        told.into_iter().next().unwrap()
    }

    #[test]
    fn no_options_and_a_trailing_comma_are_fine() {
        assert_eq!(parse(quote!()).unwrap(), []);
        let one = parse(quote!(workers = 4,)).unwrap();
        assert_eq!(one, [("workers".to_owned(), "4".to_owned())]);
    }

    #[test]
    fn values_are_any_expression_and_keep_their_order() {
        let parsed =
            parse(quote!(stack_size = 64 * KIB, workers = cpus(), panic_policy = PanicPolicy::Exit)).unwrap();
        let names: Vec<&str> = parsed.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["stack_size", "workers", "panic_policy"]);
        assert_eq!(parsed[0].1, "64 * KIB");
    }

    #[test]
    fn an_unknown_option_is_told_with_the_known_ones() {
        let expected =
            "unknown option `worker`: expected one of `workers`, `stack_size`, `seed`, `panic_policy`";
        assert_eq!(refusal(quote!(worker = 4)), expected);
        assert_eq!(refusal(quote!(worker)), expected);
        assert_eq!(refusal(quote!(worker =)), expected);
    }

    #[test]
    fn something_else_than_a_name_is_told_with_the_known_ones() {
        assert_eq!(refusal(quote!(4)), "expected one of `workers`, `stack_size`, `seed`, `panic_policy`");
    }

    #[test]
    fn an_option_given_twice_is_refused() {
        assert_eq!(refusal(quote!(workers = 4, workers = 5)), "`workers` is given twice");
    }

    #[test]
    fn a_missing_value_is_refused() {
        let expected = "expected a value: `workers = NUMBER`";
        assert_eq!(refusal(quote!(workers)), expected);
        assert_eq!(refusal(quote!(workers =)), expected);
        assert_eq!(refusal(quote!(workers = , seed = 1)), expected);
        assert_eq!(refusal(quote!(workers, seed = 1)), expected);
        assert_eq!(refusal(quote!(workers(4))), expected);
    }

    #[test]
    fn a_missing_comma_is_refused() {
        assert_eq!(refusal(quote!(workers = 4 seed = 1)), "expected `,` before the next option");
    }

    #[test]
    fn a_literal_of_the_wrong_kind_is_refused() {
        assert_eq!(
            refusal(quote!(workers = "4")),
            "`workers` is a number: expected an expression of type `usize`"
        );
        assert_eq!(refusal(quote!(seed = 1.5)), "`seed` is a number: expected an expression of type `u64`");
        assert_eq!(
            refusal(quote!(panic_policy = "exit")),
            "expected an expression of type `rendez::PanicPolicy` for `panic_policy`"
        );
    }

    #[test]
    fn all_mistakes_are_told_together() {
        let told = refusals(quote!(worker = f::<u8, 4>(2), seed = "1", workers = 1, workers = 2, stack_size));
        assert_eq!(told.len(), 4, "{told:?}");
        assert!(told[0].starts_with("unknown option `worker`"), "{told:?}");
        assert!(told[1].starts_with("`seed` is a number"), "{told:?}");
        assert_eq!(told[2..], ["`workers` is given twice", "expected a value: `stack_size = NUMBER`"]);
    }
}
