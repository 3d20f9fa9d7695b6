//! What the parser does about tokens it did not expect: looking ahead for where the next arm begins, and guessing what
//! was meant.

use std::fmt::Display;

use proc_macro2::{Delimiter, Group, Span, TokenTree};
use syn::buffer::Cursor;
use syn::ext::IdentExt;
use syn::parse::ParseStream;
use syn::{Error, Ident, Lit, Pat, Result, Token, token};

use super::parse::Name;

/// What else is written in the place of an operation, there and in other languages and libraries.
const MEANT: [(&str, Name, &str); 17] = [
    ("receive", Name::Recv, "recv"),
    ("recieve", Name::Recv, "recv"),
    ("read", Name::Recv, "recv"),
    ("get", Name::Recv, "recv"),
    ("try_recv", Name::Recv, "recv"),
    ("recv_async", Name::Recv, "recv"),
    ("recv_event", Name::Wait, "wait(rx.recv_event())"),
    ("write", Name::Send, "send"),
    ("put", Name::Send, "send"),
    ("try_send", Name::Send, "send"),
    ("send_async", Name::Send, "send"),
    ("event", Name::Wait, "wait"),
    ("join", Name::Wait, "wait"),
    ("_", Name::Default, "default"),
    ("else", Name::Default, "default"),
    ("timeout", Name::Default, "default(DURATION)"),
    ("after", Name::Default, "default(DURATION)"),
];

/// The operation that an unknown name seems to stand for, and how that is written.
pub(super) fn meant(word: &str) -> Option<(Name, &'static str)> {
    let listed = MEANT.iter().find(|(known, ..)| *known == word).map(|(_, name, text)| (*name, *text));
    listed.or_else(|| {
        let near = Name::ALL.into_iter().find(|name| is_near(word, name.text()));
        near.map(|name| (name, name.text()))
    })
}

/// Whether it is `right` with one letter more or less, another one, or two neighbours swapped.
fn is_near(word: &str, right: &str) -> bool {
    let (word, right): (Vec<char>, Vec<char>) = (word.chars().collect(), right.chars().collect());
    let head = word.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (word, right) = (&word[head..], &right[head..]);
    match (word, right) {
        ([a, b, rest @ ..], [c, d, end @ ..]) if a == d && b == c && rest == end => true,
        ([_, rest @ ..], [_, end @ ..]) if rest == end => true,
        ([_, rest @ ..], end) if rest == end => true,
        (rest, [_, end @ ..]) => rest == end,
        _ => false,
    }
}

/// The error of an arm that begins with a pattern, as those of tokio's `select!` do. (`recv(rx) = v` begins with the operation, and lacks its
/// arrow.)
pub(super) fn pattern_first(input: ParseStream<'_>) -> Option<Error> {
    let ahead = input.fork();
    let pattern = ahead.call(Pat::parse_multi_with_leading_vert).ok()?;
    let is_operation = matches!(&pattern, Pat::TupleStruct(call) if Name::ALL.iter().any(|name| call.path.is_ident(name.text())));
    let is_it = ahead.peek(Token![=]) && !ahead.peek(Token![=>]) && !is_operation;
    is_it.then(|| {
        let text = "the operation comes first, and then what it yields: `recv(rx) -> pattern => ..`, or of an event \
                    `wait(event) -> pattern => ..`";
        Error::new_spanned(pattern, text)
    })
}

/// An error at the next token, or, where there is none, at `last`: the end of the input is the whole macro call.
pub(super) fn error_here(input: ParseStream<'_>, last: Span, text: impl Display) -> Error {
    if input.is_empty() { Error::new(last, text) } else { input.error(text) }
}

/// Takes the word `biased`, unless it is called.
pub(super) fn take_biased(input: ParseStream<'_>) -> Option<Ident> {
    let ahead = input.fork();
    let word: Ident = ahead.parse().ok()?;
    if word != "biased" || ahead.peek(token::Paren) {
        return None;
    }
    input.parse().ok()
}

/// Takes the word `take` if a place follows. `take`, `take(x)`, `take.field`, `take[0]`, `take::X`, `take!(..)` and
/// `take + 1` are expressions that begin with somebody's `take`; only `take * x` is read as `take` and the place `*x`.
pub(super) fn take_slot(content: ParseStream<'_>) -> Result<bool> {
    let ahead = content.fork();
    if !ahead.parse::<Ident>().is_ok_and(|word| word == "take") {
        return Ok(false);
    }
    let borrow = ahead.peek(Token![&]) && ahead.peek2(Token![mut]);
    let word = ahead.peek(Ident::peek_any) && !ahead.peek(Token![as]);
    let place = word || borrow || ahead.peek(Token![*]) || ahead.peek(Lit) || ahead.peek(token::Group);
    if place {
        content.parse::<Ident>()?;
    }
    Ok(place)
}

/// Takes a block that is a whole body, unread: the compiler says better what is wrong in it, and editors complete in it
/// while it is being written.
pub(super) fn take_block(input: ParseStream<'_>) -> Option<TokenTree> {
    let taken = input.step(|cursor| match cursor.token_tree() {
        Some((TokenTree::Group(block), next)) if is_block(&block) && !goes_on(next) => {
            Ok((TokenTree::Group(block), next))
        }
        _ => Err(cursor.error("no block")),
    });
    taken.ok()
}

fn is_block(group: &Group) -> bool {
    group.delimiter() == Delimiter::Brace
}

/// Whether a block is the beginning of an expression: `{ a }.b()`, `{ a }?`.
fn goes_on(after_block: Cursor<'_>) -> bool {
    match after_block.punct() {
        Some((punct, next)) => match punct.as_char() {
            '?' => true,
            '.' => !is_punct(next, '.'),
            _ => false,
        },
        None => false,
    }
}

fn is_punct(cursor: Cursor<'_>, wanted: char) -> bool {
    cursor.punct().is_some_and(|(punct, _)| punct.as_char() == wanted)
}

/// Whether it is a `:`, and not the first half of `::`.
fn is_colon(tree: &TokenTree, next: Cursor<'_>) -> bool {
    matches!(tree, TokenTree::Punct(punct) if punct.as_char() == ':') && !is_punct(next, ':')
}

/// Takes two characters for one of the arrows.
fn arrow(cursor: Cursor<'_>, shaft: char) -> Option<Cursor<'_>> {
    let (first, next) = cursor.punct()?;
    let (second, next) = next.punct()?;
    (first.as_char() == shaft && second.as_char() == '>').then_some(next)
}

/// Whether an arm may end here.
pub(super) fn at_separator(input: ParseStream<'_>) -> bool {
    input.is_empty() || input.peek(Token![,]) || input.peek(Token![;])
}

/// Whether an arm begins here beyond doubt: `recv(..) ->`, `wait(..) =>`, `default =>` and so on.
pub(super) fn at_arm(cursor: Cursor<'_>) -> bool {
    let Some((word, next)) = cursor.ident() else { return false };
    let Some(name) = Name::ALL.into_iter().find(|name| word == name.text()) else { return false };
    match next.group(Delimiter::Parenthesis) {
        Some((_, _, after)) => arrow(after, '-').or_else(|| arrow(after, '=')).is_some(),
        None => name == Name::Default && arrow(next, '=').is_some(),
    }
}

/// Goes on to where the next arm seems to begin: after a comma or a block that is a body, or where an operation's name
/// stands with its operands and an arrow. In the beginning the input is `in_body`, that is, after `=>`, or not.
pub(super) fn skip_arm(input: ParseStream<'_>, in_body: bool) {
    let skipped = input.step(|cursor| {
        let (mut rest, mut body) = (*cursor, in_body);
        // Not what stopped the parser, nor the name of a method.
        let mut may_begin = false;
        while let Some((tree, next)) = rest.token_tree() {
            if may_begin && at_arm(rest) {
                break;
            }
            may_begin = !is_punct(rest, '.');
            if let Some(after) = arrow(rest, '=') {
                (rest, body) = (after, true);
                continue;
            }
            match tree {
                TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';') => return Ok(((), next)),
                TokenTree::Group(block) if body && is_block(&block) && !goes_on(next) => {
                    let comma = next.punct().filter(|(punct, _)| punct.as_char() == ',');
                    return Ok(((), comma.map_or(next, |(_, after)| after)));
                }
                _ => rest = next,
            }
            body = false;
        }
        Ok(((), rest))
    });
    debug_assert!(skipped.is_ok(), "the step has no way to fail");
}

/// The error for a pattern that no `=>` follows. Looked for first, since `v { body }` would be read as a pattern; leaves
/// the input before such a body. A type after the pattern, which doesn't belong there, is left for later.
pub(super) fn missing_fat_arrow(input: ParseStream<'_>, before: Span) -> Option<Error> {
    let (mut rest, mut last, mut block) = (input.cursor(), before, None);
    while let Some((tree, next)) = rest.token_tree() {
        let ends = matches!(&tree, TokenTree::Punct(punct) if matches!(punct.as_char(), ',' | ';'));
        if ends || arrow(rest, '-').is_some() || (block.is_some() && at_arm(rest)) {
            break;
        }
        if arrow(rest, '=').is_some() || is_colon(&tree, next) {
            return None;
        }
        last = tree.span();
        if let TokenTree::Group(group) = &tree
            && is_block(group)
        {
            block.get_or_insert((rest, group.span_open()));
        }
        rest = if is_punct(rest, ':') && is_punct(next, ':') { next.token_tree()?.1 } else { next };
    }
    let Some((block, open)) = block else {
        return Some(Error::new(last, "expected `=>` and a body after the pattern"));
    };
    while input.cursor() != block && input.parse::<TokenTree>().is_ok() {}
    Some(Error::new(open, "expected `=>` before the body"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names_are_those_with_one_slip() {
        for near in ["reciv", "rcev", "recvv", "ecv", "rec", "secv"] {
            assert!(is_near(near, "recv"), "{near}");
        }
        for far in ["", "re", "rx", "receiver", "vcer"] {
            assert!(!is_near(far, "recv"), "{far}");
        }
    }

    #[test]
    fn what_other_libraries_call_it_is_understood() {
        assert_eq!(meant("receive"), Some((Name::Recv, "recv")));
        assert_eq!(meant("else"), Some((Name::Default, "default")));
        assert_eq!(meant("defualt"), Some((Name::Default, "default")));
        assert_eq!(meant("Some"), None);
    }
}
