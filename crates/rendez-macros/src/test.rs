//! `#[rendez::test]`: what function it takes, and what it makes of it.
//!
//! ```text
//! #[rendez::test(workers = 2)]           #[::core::prelude::v1::test]
//! fn name() -> T { BODY }        =>      fn name() {
//!                                            fn name() -> T { BODY }
//!                                            ::rendez::__private::Test::new().workers(2).run(|| succeed(name()))
//!                                        }
//! ```
//!
//! As in [`entry`](crate::entry), the user's function goes inside, unchanged. What runs it, `rendez::testing::attribute`,
//! learns where it stands by `#[track_caller]`: the call has the span of the function's name, so this is the place that a
//! failure tells and a replay asks for. The result is looked at inside the goroutine, since it need not be `Send`, and by a
//! call with the span of its type.
//!
//! The standard attribute is named by its path, since `test` alone may be this macro; and it comes last, so that attribute
//! macros of others, which stand before it then, see a test.

use proc_macro2::{Ident, TokenStream};
use quote::{quote, quote_spanned};
use syn::{Attribute, Error, ItemFn, Result};

use crate::function::{self, Parts, refuse};
use crate::options::Errors;
use crate::test_options::{Mode, TestOptions};

/// Expands the attribute, or says why not.
pub(crate) fn expand(options: TokenStream, item: TokenStream) -> TokenStream {
    let expected = "`#[rendez::test]` goes on a function: expected `fn` or `async fn`";
    let function = match function::read(&item, expected) {
        Ok(function) => function,
        Err(error) => return refuse(error, item),
    };
    let options = syn::parse2::<TestOptions>(options);
    match (check(&function), options) {
        (Ok(()), Ok(options)) => test(function, &options),
        // The function is sound: keep it, so that the compiler still looks at its body.
        (Ok(()), Err(error)) => refuse(error, test(function, &TestOptions::default())),
        (Err(error), Ok(_)) => refuse(error, bare(function)),
        (Err(mut error), Err(second)) => {
            error.combine(second);
            refuse(error, bare(function))
        }
    }
}

/// In the place of a refused test: what is wrong has been told, and what is written about tests would be told again.
fn bare(mut function: ItemFn) -> TokenStream {
    function.attrs.retain(|attr| !is_test(attr) && !attr.path().is_ident("should_panic"));
    quote!(#function)
}

/// All that is wrong with the function, each at its token.
fn check(function: &ItemFn) -> Result<()> {
    let mut errors = Errors::default();
    for attr in function.attrs.iter().filter(|attr| is_test(attr)) {
        let text = "`#[rendez::test]` makes it a test already: expected no other `test` attribute";
        errors.push(Error::new_spanned(attr, text));
    }
    function::check_qualifiers(&function.sig, "`fn` or `async fn`", &mut errors);
    function::check_generics(&function.sig, "a test", &mut errors);
    function::check_no_arguments(&function.sig, "expected no arguments on a test", &mut errors);
    errors.finish()
}

/// Whether the attribute is the standard one, or this.
fn is_test(attr: &Attribute) -> bool {
    let path: Vec<String> = attr.path().segments.iter().map(|segment| segment.ident.to_string()).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    matches!(path[..], ["test"] | ["rendez", "test"] | ["core" | "std", "prelude", _, "test"])
}

/// The test, with the user's function inside it.
fn test(function: ItemFn, options: &TestOptions) -> TokenStream {
    let at = function::result_span(&function.sig);
    let result = function::call(&function.sig);
    let body = if function::never_returns(&function.sig) {
        quote!(|| -> () { #result })
    } else {
        let succeed = quote_spanned!(at=> ::rendez::__private::succeed);
        quote_spanned!(at=> || #succeed(#result))
    };
    let Parts { attrs, vis, inner } = function::parts(function);
    let name = &inner.sig.ident;
    let run = match options.mode {
        Mode::Real => "run",
        Mode::VirtualTime => "run_in_virtual_time",
        Mode::Explore => "explore",
    };
    let run = Ident::new(run, name.span());
    let run = quote_spanned!(name.span()=> .#run(#body));
    let setters = options.setters();
    quote! {
        #(#attrs)*
        #[::core::prelude::v1::test]
        #vis fn #name() {
            #inner
            ::rendez::__private::Test::new() #(#setters)* #run
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quote::ToTokens;
    use syn::parse_quote;

    fn text(tokens: impl ToTokens) -> String {
        tokens.to_token_stream().to_string().replace(' ', "")
    }

    fn refusals(function: ItemFn) -> Vec<String> {
        let error = check(&function).expect_err("this function should be refused");
        error.into_iter().map(|e| e.to_string()).collect()
    }

    /// The test, the function inside it, and what follows that one, without spaces.
    fn expansion(options: TokenStream, function: &ItemFn) -> (ItemFn, ItemFn, String) {
        let outer: ItemFn =
            syn::parse2(expand(options, function.to_token_stream())).expect("the expansion parses");
        let Some(syn::Stmt::Item(syn::Item::Fn(inner))) = outer.block.stmts.first().cloned() else {
            panic!("the user's function should come first in the body")
        };
        let rest: Vec<String> = outer.block.stmts[1..].iter().map(text).collect();
        (outer, inner, rest.concat())
    }

    #[test]
    fn a_test_is_run_by_plain_functions() {
        let function: ItemFn = parse_quote!(
            fn adds() -> Result<(), Oops> {
                work()?;
                Ok(())
            }
        );
        let run = |options| expansion(options, &function).2;
        let new = "::rendez::__private::Test::new()";
        let body = "(||::rendez::__private::succeed(adds()))";
        assert_eq!(run(quote!()), format!("{new}.run{body}"));
        assert_eq!(run(quote!(workers = 4, seed = 1)), format!("{new}.workers(4).seed(1).run{body}"));
        assert_eq!(run(quote!(virtual_time)), format!("{new}.run_in_virtual_time{body}"));
        assert_eq!(run(quote!(explore = 10)), format!("{new}.iterations(10).explore{body}"));
        assert_eq!(run(quote!(early_timers, explore)), format!("{new}.early_timers().explore{body}"));
    }

    #[test]
    fn the_function_goes_inside_as_it_is_and_the_test_returns_nothing() {
        let function: ItemFn = parse_quote!(
            fn adds() -> Result<(), Oops> {
                work()?;
                Ok(())
            }
        );
        let (outer, inner, _) = expansion(quote!(), &function);
        assert_eq!(text(inner), text(function));
        assert_eq!(text(outer.sig), "fnadds()");
    }

    #[test]
    fn an_async_test_is_blocked_on_inside_the_goroutine() {
        let function: ItemFn = parse_quote!(
            async fn waits() {
                work().await
            }
        );
        let (outer, inner, rest) = expansion(quote!(), &function);
        assert!(outer.sig.asyncness.is_none() && inner.sig.asyncness.is_some());
        assert!(
            rest.ends_with(".run(||::rendez::__private::succeed(::rendez::block_on(waits())))"),
            "{rest}"
        );
    }

    #[test]
    fn a_test_that_never_returns_has_no_result_to_look_at() {
        let function: ItemFn = parse_quote!(
            fn panics() -> ! {
                panic!()
            }
        );
        let (_, _, rest) = expansion(quote!(), &function);
        assert!(rest.ends_with(".run(||->(){panics()})"), "{rest}");
    }

    #[test]
    fn attributes_stay_in_order_and_the_standard_one_comes_last() {
        let function: ItemFn = parse_quote!(
            /// Told.
            #[should_panic(expected = "so")]
            #[ignore = "slow"]
            #[cfg(unix)]
            pub(crate) fn panics() {
                #![allow(unused)]
                panic!("so")
            }
        );
        let (outer, inner, _) = expansion(quote!(), &function);
        let attrs: Vec<String> = outer.attrs.iter().map(text).collect();
        assert_eq!(
            attrs,
            [
                "#[doc=r\"Told.\"]",
                "#[should_panic(expected=\"so\")]",
                "#[ignore=\"slow\"]",
                "#[cfg(unix)]",
                "#[::core::prelude::v1::test]"
            ]
        );
        assert_eq!(text(outer.vis), "pub(crate)");
        assert_eq!(text(&inner.attrs[0]), "#[allow(unused)]");
    }

    #[test]
    fn what_a_test_can_not_be_is_told_all_at_once() {
        let told = refusals(parse_quote!(
            const unsafe extern "C" fn t<T>(x: i32)
            where
                T: Copy,
            {
            }
        ));
        assert_eq!(
            told,
            [
                "expected `fn` or `async fn`, found `const`",
                "expected `fn` or `async fn`, found `unsafe`",
                "expected `fn` or `async fn`, found `extern`",
                "a test has no caller that could choose them: expected no generic parameters",
                "expected no `where` clause on a test",
                "expected no arguments on a test"
            ]
        );
    }

    #[test]
    fn a_second_test_attribute_is_refused() {
        let text = "`#[rendez::test]` makes it a test already: expected no other `test` attribute";
        let told = refusals(parse_quote!(
            #[test]
            #[rendez::test]
            #[core::prelude::v1::test]
            #[cfg(test)]
            #[other::test]
            fn t() {}
        ));
        assert_eq!(told, [text; 3]);
    }

    #[test]
    fn a_refused_test_is_no_test_and_a_wrong_option_keeps_it_one() {
        let refused = text(expand(
            quote!(),
            quote!(
                #[should_panic]
                #[test]
                fn t(x: i32) {
                    work(x)
                }
            ),
        ));
        assert!(refused.contains("compile_error") && refused.ends_with("fnt(x:i32){work(x)}"), "{refused}");
        assert!(!refused.contains("#[test]") && !refused.contains("#[should_panic]"), "{refused}");
        let kept = text(expand(
            quote!(worker = 4),
            quote!(
                fn t() {
                    work()
                }
            ),
        ));
        assert!(kept.contains("compile_error") && kept.contains(".run(||"), "{kept}");
    }

    #[test]
    fn what_is_no_function_is_refused_as_that() {
        let told = expand(
            quote!(),
            quote!(
                struct Test;
            ),
        )
        .to_string();
        assert!(told.contains("goes on a function: expected `fn` or `async fn`"), "{told}");
    }
}
