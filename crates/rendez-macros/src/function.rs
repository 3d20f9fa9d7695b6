//! What the attributes on functions share: reading one, saying what is wrong with it, and putting it inside another.

use proc_macro2::{Span, TokenStream};
use quote::{quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{
    AttrStyle, Attribute, Error, Item, ItemFn, Result, ReturnType, Safety, Signature, Type, Visibility,
};

use crate::options::Errors;

/// The function that the attribute is on. A syntax error inside one is told as it is; anything else that isn't a function,
/// with `expected`.
pub(crate) fn read(item: &TokenStream, expected: &str) -> Result<ItemFn> {
    syn::parse2(item.clone()).map_err(|error| match syn::parse2::<Item>(item.clone()) {
        Ok(other) => Error::new_spanned(other, expected),
        Err(_) => error,
    })
}

/// The errors, and then what the compiler goes on with.
pub(crate) fn refuse(error: Error, rest: TokenStream) -> TokenStream {
    let error = error.to_compile_error();
    quote!(#error #rest)
}

/// Nothing but `async` may stand before `fn`.
pub(crate) fn check_qualifiers(sig: &Signature, expected: &str, errors: &mut Errors) {
    if let Some(token) = &sig.constness {
        errors.push(Error::new(token.span, format!("expected {expected}, found `const`")));
    }
    if let Safety::Unsafe(token) = &sig.safety {
        errors.push(Error::new(token.span, format!("expected {expected}, found `unsafe`")));
    }
    if let Some(abi) = &sig.abi {
        errors.push(Error::new_spanned(abi, format!("expected {expected}, found `extern`")));
    }
}

pub(crate) fn check_generics(sig: &Signature, what: &str, errors: &mut Errors) {
    if !sig.generics.params.is_empty() {
        let text = format!("{what} has no caller that could choose them: expected no generic parameters");
        errors.push(Error::new_spanned(&sig.generics, text));
    }
    if let Some(clause) = &sig.generics.where_clause {
        errors.push(Error::new_spanned(clause, format!("expected no `where` clause on {what}")));
    }
}

pub(crate) fn check_no_arguments(sig: &Signature, text: &str, errors: &mut Errors) {
    if !sig.inputs.is_empty() || sig.variadic.is_some() {
        let (inputs, variadic) = (&sig.inputs, &sig.variadic);
        errors.push(Error::new_spanned(quote!(#inputs #variadic), text));
    }
}

/// An error about the result's type belongs at that type, or else at the name.
pub(crate) fn result_span(sig: &Signature) -> Span {
    match &sig.output {
        ReturnType::Default => sig.ident.span(),
        ReturnType::Type(_, ty) => ty.span(),
    }
}

pub(crate) fn never_returns(sig: &Signature) -> bool {
    matches!(&sig.output, ReturnType::Type(_, ty) if matches!(**ty, Type::Never(_)))
}

/// The user's function called from the one around it, and waited for if it is `async`.
pub(crate) fn call(sig: &Signature) -> TokenStream {
    let (mut name, at) = (sig.ident.clone(), result_span(sig));
    name.set_span(at);
    match sig.asyncness {
        None => quote_spanned!(at=> #name()),
        Some(_) => quote_spanned!(at=> ::rendez::block_on(#name())),
    }
}

/// A function that goes inside another of its name.
pub(crate) struct Parts {
    /// Those before it, which belong to the one outside, with the visibility.
    pub(crate) attrs: Vec<Attribute>,
    pub(crate) vis: Visibility,
    /// Without them.
    pub(crate) inner: ItemFn,
}

pub(crate) fn parts(mut function: ItemFn) -> Parts {
    let (attrs, mut within): (Vec<_>, Vec<_>) =
        function.attrs.into_iter().partition(|attr| matches!(attr.style, AttrStyle::Outer));
    for attr in &mut within {
        // `#![..]` would be about the function around.
        attr.style = AttrStyle::Outer;
    }
    function.attrs = within;
    let vis = std::mem::replace(&mut function.vis, Visibility::Inherited);
    Parts { attrs, vis, inner: function }
}
