//! From arms to tokens: the shape is at the head of [`super`].
//!
//! Every identifier that is made here has mixed-site hygiene, so it meets none of the user's, and every token that is
//! made here counts as the macro's, so lints leave it alone. Calls stand at the user's words that they are made of, so
//! that a wrong type is told there.

use proc_macro2::{Delimiter, Group, Literal, Span, TokenStream, TokenTree};
use quote::{ToTokens, format_ident, quote_spanned};
use syn::{Error, Expr, Ident, Pat};

use super::parse::{Arm, Operation, Select};

/// Expands the macro: what is wrong with it, then what could be read of it.
pub(crate) fn expand(input: TokenStream) -> TokenStream {
    let Select { biased, arms, errors } = match syn::parse2(input) {
        Ok(select) => select,
        Err(error) => return error.to_compile_error(),
    };
    let at = Span::mixed_site();
    let complaints = errors.iter().map(Error::to_compile_error);
    let rest = match &arms[..] {
        // Nothing is right: the errors are the expression, of which no more is said than that.
        [] if !errors.is_empty() => return quote_spanned!(at=> { #(#complaints)* }),
        [] => {
            let forever = library("forever", at);
            quote_spanned!(at=> #forever())
        }
        [Arm { operation: Operation::Default, body, .. }] => body.clone(),
        arms => choice(arms, biased),
    };
    quote_spanned!(at=> { #(#complaints)* #rest })
}

/// What the arms add up to, part by part.
#[derive(Default)]
struct Parts {
    /// Whether there is but one arm.
    alone: bool,
    types: Vec<Ident>,
    variants: Vec<TokenStream>,
    /// The tuple of what is evaluated, and the names of its elements.
    operands: Vec<TokenStream>,
    bindings: Vec<TokenStream>,
    /// The arms that are waited for, and what makes a variant of each.
    waiting: Vec<Ident>,
    finished: Vec<TokenStream>,
    default: Option<Otherwise>,
    bodies: Vec<TokenStream>,
}

/// What `default` does to the wait.
enum Otherwise {
    Now,
    After(Ident),
}

fn choice(arms: &[Arm], biased: bool) -> TokenStream {
    let at = Span::mixed_site();
    let mut parts = Parts { alone: arms.len() == 1, ..Parts::default() };
    for arm in arms {
        if arm.operation.is_default() {
            parts.add_default(arm);
        } else {
            parts.add(arm);
        }
    }
    let Parts { types, variants, operands, bindings, waiting, finished, default, bodies, .. } = parts;
    let polled = quote_spanned!(at=> &mut [#(&mut #waiting),*]);
    let (wait, outcomes) = match &default {
        None => {
            let block = library("block", at);
            (quote_spanned!(at=> #block(#polled, #biased)), by_index(&finished, |index| index))
        }
        Some(otherwise) => {
            let wait = match otherwise {
                Otherwise::Now => {
                    let try_now = library("try_now", at);
                    quote_spanned!(at=> #try_now(#polled, #biased))
                }
                Otherwise::After(duration) => {
                    let block_for = library("block_for", at);
                    quote_spanned!(at=> #block_for(#polled, #biased, #duration))
                }
            };
            let outcomes =
                by_index(&finished, |index| quote_spanned!(at=> ::core::option::Option::Some(#index)));
            let none = if finished.is_empty() {
                quote_spanned!(at=> _)
            } else {
                quote_spanned!(at=> ::core::option::Option::None)
            };
            (wait, quote_spanned!(at=> #outcomes #none => __Chosen::Default,))
        }
    };
    quote_spanned! {at=>
        enum __Chosen<#(#types),*> { #(#variants),* }
        let chosen;
        match (#(#operands,)*) {
            (#(#bindings,)*) => chosen = match #wait { #outcomes },
        };
        match chosen { #(#bodies)* }
    }
}

/// The outcomes 0, 1, and so on, each in what `pattern` makes of it; the last one is `_`, for there is no other left.
fn by_index(finished: &[TokenStream], pattern: impl Fn(TokenStream) -> TokenStream) -> TokenStream {
    let at = Span::mixed_site();
    let arms = finished.iter().enumerate().map(|(index, outcome)| {
        let index = if index + 1 == finished.len() {
            quote_spanned!(at=> _)
        } else {
            let mut index = Literal::usize_unsuffixed(index);
            index.set_span(at);
            index.into_token_stream()
        };
        let pattern = pattern(index);
        quote_spanned!(at=> #pattern => #outcome,)
    });
    arms.collect()
}

impl Parts {
    /// An arm that is waited for.
    fn add(&mut self, arm: &Arm) {
        let at = Span::mixed_site();
        let index = self.waiting.len();
        let (ty, variant) = (format_ident!("T{index}", span = at), format_ident!("Arm{index}", span = at));
        let state = format_ident!("arm{index}", span = at);
        let operand = operand(arm);
        if let Some(present) = predicate(arm) {
            let nil = nil();
            self.operands.push(quote_spanned!(at=> #[cfg(#present)] #operand));
            self.operands.push(quote_spanned!(at=> #[cfg(not(#present))] #nil));
        } else {
            self.operands.push(operand);
        }
        self.bindings.push(quote_spanned!(at=> mut #state));
        let finish = library("finish", at);
        self.finished.push(quote_spanned!(at=> __Chosen::#variant(#finish(&mut #state))));
        let Arm { pattern, body, .. } = arm;
        let bind = match pattern {
            // At the top of a `let`, alternatives need parentheses.
            Some(pattern @ Pat::Or(_)) => quote_spanned!(at=> let (#pattern) = value;),
            Some(pattern) => quote_spanned!(at=> let #pattern = value;),
            None => quote_spanned!(at=> match { value } { _ => {} }),
        };
        let others = (!self.alone).then(|| quote_spanned!(at=> _ => ::core::unreachable!()));
        let body = quote_spanned! {at=>
            __Chosen::#variant(_) => {
                let value = match { chosen } { __Chosen::#variant(value) => value, #others };
                #bind
                #body
            }
        };
        if let Some(present) = predicate(arm) {
            self.bodies.push(quote_spanned!(at=> #[cfg(#present)] #body));
            let absent = quote_spanned!(at=> __Chosen::#variant(_) => ::core::unreachable!());
            self.bodies.push(quote_spanned!(at=> #[cfg(not(#present))] #absent,));
        } else {
            self.bodies.push(body);
        }
        self.variants.push(quote_spanned!(at=> #variant(#ty)));
        self.types.push(ty);
        self.waiting.push(state);
    }

    fn add_default(&mut self, arm: &Arm) {
        let at = Span::mixed_site();
        self.default = Some(if let Operation::DefaultAfter(duration) = &arm.operation {
            let name = Ident::new("duration", at);
            // A wrong type is told here, and not inside of the call.
            let typed = quote_spanned!(at=> let #name: ::core::time::Duration = #duration;);
            self.operands.push(quote_spanned!(at=> { #typed #name }));
            self.bindings.push(name.to_token_stream());
            Otherwise::After(name)
        } else {
            Otherwise::Now
        });
        let body = &arm.body;
        self.variants.push(quote_spanned!(at=> Default));
        self.bodies.push(quote_spanned!(at=> __Chosen::Default => { match { chosen } { _ => {} } #body }));
    }
}

/// When the arm is there, if not always.
fn predicate(arm: &Arm) -> Option<TokenStream> {
    match &arm.cfg[..] {
        [] => None,
        [one] => Some(one.clone()),
        several => Some(quote_spanned!(Span::mixed_site()=> all(#(#several),*))),
    }
}

/// What makes the state of an arm out of its operands.
fn operand(arm: &Arm) -> TokenStream {
    // As the user's word, but the macro's token.
    let at = Span::mixed_site().located_at(arm.span);
    match &arm.operation {
        Operation::Recv(receiver) => call("recv", at, &[borrow(receiver, None)]),
        Operation::Send(sender, value @ Expr::Paren(_)) => {
            // In parentheses of the macro's own, so that nobody is told to remove those of `(take * 2)`.
            let value = quote_spanned!(Span::mixed_site()=> (#value));
            call("send", at, &[borrow(sender, None), value])
        }
        Operation::Send(sender, value) => call("send", at, &[borrow(sender, None), value.to_token_stream()]),
        Operation::SendTake(sender, slot) => {
            let mutable = Ident::new("mut", Span::mixed_site());
            call("send_take", at, &[borrow(sender, None), borrow(slot, Some(mutable))])
        }
        Operation::Wait(event) => call("wait", at, &[event.to_token_stream()]),
        Operation::Default | Operation::DefaultAfter(_) => unreachable!("it is no arm to wait for"),
    }
}

/// An arm that is never ready: a receiver that isn't there.
fn nil() -> TokenStream {
    let at = Span::mixed_site();
    let never = quote_spanned!(at=> ::rendez::chan::Receiver<::core::convert::Infallible>);
    call("recv", at, &[quote_spanned!(at=> &::core::option::Option::<#never>::None)])
}

fn call(function: &str, at: Span, arguments: &[TokenStream]) -> TokenStream {
    let function = library(function, at);
    quote_spanned!(at=> #function(#(#arguments),*))
}

/// `::rendez::__private::NAME`
fn library(name: &str, at: Span) -> TokenStream {
    let name = Ident::new(name, at);
    quote_spanned!(at=> ::rendez::__private::#name)
}

/// `&(PLACE)` or `&mut (PLACE)`, which stands, for the compiler's messages, from the place's first token to its last.
fn borrow(place: &Expr, mutable: Option<Ident>) -> TokenStream {
    let tokens: Vec<TokenTree> = place.to_token_stream().into_iter().collect();
    let located = |tree: Option<&TokenTree>| {
        let at = Span::mixed_site();
        tree.map_or(at, |tree| at.located_at(tree.span()))
    };
    let (first, last) = (located(tokens.first()), located(tokens.last()));
    let mut group = Group::new(Delimiter::Parenthesis, tokens.into_iter().collect());
    group.set_span(last);
    quote_spanned!(first=> & #mutable #group)
}
