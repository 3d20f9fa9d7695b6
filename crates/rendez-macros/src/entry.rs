//! `#[rendez::main]`: what function it takes, and what it makes of it.
//!
//! ```text
//! #[rendez::main]                        fn main() -> ::std::process::ExitCode {
//! fn main() -> T { BODY }        =>          fn main() -> T { BODY }
//!                                            ::rendez::run(move || Termination::report(main()))
//!                                        }
//! ```
//!
//! The user's function goes inside, unchanged, so that `return`, `?` and a call of `main` by itself keep their
//! meaning, and so that nothing of this macro's is in scope in its body. The result is turned into an
//! [`ExitCode`](std::process::ExitCode) inside the goroutine: what leaves it has to be `Send`, and the most common
//! result of all, `Result<(), Box<dyn Error>>`, is not.

use proc_macro2::{Ident, Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Error, ItemFn, Result, Signature};

use crate::function::{self, Parts, refuse};
use crate::options::{Errors, Given, MainOptions};

/// What is expected, for messages.
const EXPECTED: &str = "`fn main()` or `async fn main()`";

/// Expands the attribute, or says why not.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let expected = "`#[rendez::main]` goes on a function: expected `fn main()`";
    let function = match function::read(&item, expected) {
        Ok(function) => function,
        Err(error) => return refuse(error, item),
    };
    let options = syn::parse2::<MainOptions>(options);
    match (check(&function.sig), options) {
        (Ok(()), Ok(options)) => entry_point(function, &options),
        // The function is sound: keep it, so that the compiler still looks at its body.
        (Ok(()), Err(error)) => refuse(error, entry_point(function, &MainOptions::default())),
        (Err(error), Ok(_)) => refuse(error, stub(&function.sig, item)),
        (Err(mut error), Err(second)) => {
            error.combine(second);
            refuse(error, stub(&function.sig, item))
        }
    }
}

/// In the place of a refused `main`, so that "there is no main function" is not told on top.
fn stub(sig: &Signature, item: TokenStream) -> TokenStream {
    if sig.ident == "main" {
        quote!(
            fn main() {}
        )
    } else {
        item
    }
}

/// All that is wrong with the function, each at its token.
fn check(sig: &Signature) -> Result<()> {
    let mut errors = Errors::default();
    if sig.ident != "main" {
        let text =
            format!("`#[rendez::main]` goes on the program's entry: expected `main`, found `{}`", sig.ident);
        errors.push(Error::new(sig.ident.span(), text));
    }
    function::check_qualifiers(sig, EXPECTED, &mut errors);
    function::check_generics(sig, "`main`", &mut errors);
    function::check_no_arguments(
        sig,
        "expected no arguments on `main`: read the command line with `std::env::args`",
        &mut errors,
    );
    errors.finish()
}

/// The function that the program starts in, with the user's inside it.
fn entry_point(function: ItemFn, options: &MainOptions) -> TokenStream {
    let at = function::result_span(&function.sig);
    let never = function::never_returns(&function.sig);
    let result = function::call(&function.sig);
    let Parts { attrs, vis, inner } = function::parts(function);
    let body = if never {
        // There is nothing to report, and a call that can't be reached would be warned of.
        quote!(move || -> ::std::process::ExitCode { #result })
    } else {
        let report = quote_spanned!(at=> ::std::process::Termination::report);
        quote!(move || #report(#result))
    };
    let start =
        if options.0.is_empty() { quote!(::rendez::run(#body)) } else { with_runtime(options, &body) };
    let name = &inner.sig.ident;
    quote! {
        #(#attrs)*
        #vis fn #name() -> ::std::process::ExitCode {
            #inner
            #start
        }
    }
}

/// The same with a runtime of its own. `Runtime::run` leaves the others going when `main` returns, and the program's
/// entry must not: hence the shutdown, which a panic gets by dropping the runtime.
fn with_runtime(options: &MainOptions, body: &TokenStream) -> TokenStream {
    let setters = options.0.iter().map(|Given { name, value }| quote!(.#name(#value)));
    let runtime = Ident::new("runtime", Span::mixed_site());
    let code = Ident::new("code", Span::mixed_site());
    quote! {
        let #runtime = ::rendez::Runtime::builder()
            #(#setters)*
            .build()
            .expect("the runtime of `#[rendez::main]` could not be built");
        let #code = #runtime.run(#body);
        #runtime.shutdown();
        #code
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::ToTokens;
    use syn::parse_quote;

    fn refusals(function: ItemFn) -> Vec<String> {
        let error = check(&function.sig).expect_err("this function should be refused");
        error.into_iter().map(|e| e.to_string()).collect()
    }

    fn text(tokens: impl ToTokens) -> String {
        tokens.to_token_stream().to_string()
    }

    /// The expansion, the function inside it, and what follows that one, without spaces.
    fn expansion(options: TokenStream, function: &ItemFn) -> (ItemFn, ItemFn, String) {
        let outer: ItemFn =
            syn::parse2(expand(options, function.to_token_stream())).expect("the expansion parses");
        let Some(syn::Stmt::Item(syn::Item::Fn(inner))) = outer.block.stmts.first().cloned() else {
            panic!("the user's function should come first in the body")
        };
        let rest: Vec<String> = outer.block.stmts[1..].iter().map(|s| text(s).replace(' ', "")).collect();
        (outer, inner, rest.concat())
    }

    #[test]
    fn main_becomes_the_body_of_the_root_run() {
        let function: ItemFn = parse_quote!(
            fn main() -> Result<(), Oops> {
                work()?;
                Ok(())
            }
        );
        let (outer, inner, rest) = expansion(quote!(), &function);
        assert_eq!(text(inner), text(function));
        assert_eq!(text(outer.sig.output).replace(' ', ""), "->::std::process::ExitCode");
        assert_eq!(rest, "::rendez::run(move||::std::process::Termination::report(main()))");
    }

    #[test]
    fn an_async_main_is_blocked_on_inside_the_goroutine() {
        let function: ItemFn = parse_quote!(
            async fn main() {
                work().await
            }
        );
        let (outer, inner, rest) = expansion(quote!(), &function);
        assert!(outer.sig.asyncness.is_none() && inner.sig.asyncness.is_some());
        assert_eq!(
            rest,
            "::rendez::run(move||::std::process::Termination::report(::rendez::block_on(main())))"
        );
    }

    #[test]
    fn a_main_that_never_returns_has_nothing_to_report() {
        let function: ItemFn = parse_quote!(
            fn main() -> ! {
                serve()
            }
        );
        let (_, _, rest) = expansion(quote!(), &function);
        assert_eq!(rest, "::rendez::run(move||->::std::process::ExitCode{main()})");
    }

    #[test]
    fn options_build_a_runtime_that_is_shut_down_at_the_end() {
        let function: ItemFn = parse_quote!(
            fn main() {}
        );
        let (_, _, rest) = expansion(quote!(workers = 4, stack_size = 65536), &function);
        assert_eq!(
            rest.replace(r#"expect("theruntimeof`#[rendez::main]`couldnotbebuilt")"#, "expect(..)"),
            "letruntime=::rendez::Runtime::builder().workers(4).stack_size(65536).build().expect(..);\
             letcode=runtime.run(move||::std::process::Termination::report(main()));\
             runtime.shutdown();code"
        );
    }

    #[test]
    fn attributes_and_visibility_stay_outside() {
        let function: ItemFn = parse_quote!(
            #[cfg(unix)]
            pub fn main() {}
        );
        let outer: ItemFn = syn::parse2(expand(quote!(), function.to_token_stream())).unwrap();
        assert_eq!(text(&outer.attrs[0]), "# [cfg (unix)]");
        assert_eq!(text(outer.vis), "pub");
    }

    #[test]
    fn inner_attributes_go_inside_with_the_body() {
        let function: ItemFn = parse_quote!(
            fn main() {
                #![allow(unused)]
                let x = 1;
            }
        );
        let (outer, inner, _) = expansion(quote!(), &function);
        assert!(outer.attrs.is_empty());
        assert_eq!(text(&inner.attrs[0]), "# [allow (unused)]");
    }

    #[test]
    fn arguments_are_refused() {
        let told = refusals(parse_quote!(
            fn main(args: Vec<String>) {}
        ));
        assert_eq!(told, ["expected no arguments on `main`: read the command line with `std::env::args`"]);
    }

    #[test]
    fn generics_are_refused() {
        let told = refusals(parse_quote!(
            fn main<T>()
            where
                T: Copy,
            {
            }
        ));
        let text = "`main` has no caller that could choose them: expected no generic parameters";
        assert_eq!(told, [text, "expected no `where` clause on `main`"]);
    }

    #[test]
    fn another_name_is_refused() {
        let told = refusals(parse_quote!(
            fn start() {}
        ));
        assert_eq!(told, ["`#[rendez::main]` goes on the program's entry: expected `main`, found `start`"]);
    }

    #[test]
    fn qualifiers_are_refused_each_by_its_name() {
        let told = refusals(parse_quote!(
            const unsafe extern "C" fn main() {}
        ));
        let found: Vec<&str> = told.iter().filter_map(|t| t.split("found ").nth(1)).collect();
        assert_eq!(found, ["`const`", "`unsafe`", "`extern`"]);
    }

    #[test]
    fn a_refused_main_leaves_a_stub_and_a_wrong_option_keeps_the_function() {
        let refused = expand(
            quote!(),
            quote!(
                fn main(x: i32) {
                    x
                }
            ),
        );
        assert!(refused.to_string().ends_with("fn main () { }"));
        let kept = expand(
            quote!(worker = 4),
            quote!(
                fn main() {
                    work()
                }
            ),
        );
        assert!(kept.to_string().contains("compile_error") && kept.to_string().contains("work ()"));
    }

    #[test]
    fn what_is_no_function_is_refused_as_that() {
        let told = expand(
            quote!(),
            quote!(
                struct Main;
            ),
        )
        .to_string();
        assert!(told.contains("goes on a function: expected `fn main()`"), "{told}");
    }
}
