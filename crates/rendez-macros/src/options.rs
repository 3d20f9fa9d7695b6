//! What stands in the parentheses of `#[rendez::main(workers = 4, stack_size = 65536)]`.
//!
//! ```text
//! options := [ option { "," option } [ "," ] ]
//! option  := NAME "=" EXPRESSION
//! ```
//!
//! The names are those of the methods of `rendez::RuntimeBuilder`, and the expressions become their arguments
//! with their own spans, so that the compiler checks their types where they were written. Only a literal of the
//! wrong kind is refused here: there, this macro can say it better than "mismatched types".

use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, ExprLit, Ident, Lit, Result, Token};

/// What a value may be, for the message about a literal that it can't be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// An integer; the text names the exact type.
    Integer(&'static str),
    /// No literal can be one.
    Path(&'static str),
}

/// The options there are, in the order in which messages list them.
const KNOWN: [(&str, Kind); 4] = [
    ("workers", Kind::Integer("usize")),
    ("stack_size", Kind::Integer("usize")),
    ("seed", Kind::Integer("u64")),
    ("panic_policy", Kind::Path("rendez::PanicPolicy")),
];

/// One `NAME = EXPRESSION`; the name is one of [`KNOWN`].
pub(crate) struct MainOption {
    pub(crate) name: Ident,
    pub(crate) value: Expr,
}

/// All that was given, in source order, no name twice.
#[derive(Default)]
pub(crate) struct MainOptions(pub(crate) Vec<MainOption>);

impl Parse for MainOptions {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut options: Vec<MainOption> = Vec::new();
        while !input.is_empty() {
            let option: MainOption = input.parse()?;
            if options.iter().any(|earlier| earlier.name == option.name) {
                return Err(Error::new(option.name.span(), format!("`{}` is given twice", option.name)));
            }
            options.push(option);
            if !input.is_empty() && input.parse::<Token![,]>().is_err() {
                return Err(input.error("expected `,` before the next option"));
            }
        }
        Ok(Self(options))
    }
}

impl Parse for MainOption {
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let name: Ident =
            input.parse().map_err(|e| Error::new(e.span(), format!("expected {}", known_names())))?;
        let Some((_, kind)) = KNOWN.iter().find(|(known, _)| name == *known) else {
            return Err(Error::new(
                name.span(),
                format!("unknown option `{name}`: expected {}", known_names()),
            ));
        };
        if !input.peek(Token![=]) {
            let wanted = format!("expected a value: `{name} = {}`", kind.example());
            return Err(if input.is_empty() { Error::new(name.span(), wanted) } else { input.error(wanted) });
        }
        let equals: Token![=] = input.parse()?;
        if input.is_empty() || input.peek(Token![,]) {
            return Err(Error::new(equals.span, format!("expected a value: `{name} = {}`", kind.example())));
        }
        let value: Expr = input.parse()?;
        kind.check(&name, &value)?;
        Ok(Self { name, value })
    }
}

impl Kind {
    fn example(self) -> &'static str {
        match self {
            Kind::Integer(_) => "NUMBER",
            Kind::Path(_) => "rendez::PanicPolicy::Exit",
        }
    }

    /// Refuses a literal that can't be right; leaves all other expressions to the compiler.
    fn check(self, name: &Ident, value: &Expr) -> Result<()> {
        let Expr::Lit(ExprLit { lit, .. }) = value else { return Ok(()) };
        match (self, lit) {
            (Kind::Integer(_), Lit::Int(_)) => Ok(()),
            (Kind::Integer(ty), _) => Err(Error::new_spanned(
                lit,
                format!("`{name}` is a number: expected an expression of type `{ty}`"),
            )),
            (Kind::Path(ty), _) => {
                Err(Error::new_spanned(lit, format!("expected an expression of type `{ty}` for `{name}`")))
            }
        }
    }
}

/// "one of `workers`, `stack_size`, ...", for messages.
fn known_names() -> String {
    let names: Vec<String> = KNOWN.iter().map(|(name, _)| format!("`{name}`")).collect();
    format!("one of {}", names.join(", "))
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

    fn refusal(tokens: proc_macro2::TokenStream) -> String {
        parse(tokens).expect_err("these options should be refused").to_string()
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
        assert_eq!(
            refusal(quote!(worker = 4)),
            "unknown option `worker`: expected one of `workers`, `stack_size`, `seed`, `panic_policy`"
        );
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
}
