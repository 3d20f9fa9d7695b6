//! From tokens to arms. Every mistake is kept, with its place, and parsing goes on at the next arm, so that all broken
//! arms are told at once and those in order can still be expanded.

use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote_spanned};
use syn::ext::IdentExt;
use syn::parse::discouraged::Speculative;
use syn::parse::{Parse, ParseStream};
use syn::{Error, Expr, Ident, Pat, Result, Token, Type, UnOp, token};

use super::recover;

/// What stood between the braces of `select!`, as far as it could be read.
#[derive(Default)]
pub(crate) struct Select {
    pub(crate) biased: bool,
    /// In source order, `default` among them.
    pub(crate) arms: Vec<Arm>,
    /// What could not be read, in source order.
    pub(crate) errors: Vec<Error>,
}

/// `#[cfg(..)] recv(rx) -> PATTERN => BODY`
pub(crate) struct Arm {
    /// The predicates of its `#[cfg(..)]`s.
    pub(crate) cfg: Vec<TokenStream>,
    /// Of the operation's name.
    pub(crate) span: Span,
    pub(crate) operation: Operation,
    pub(crate) pattern: Option<Pat>,
    /// One expression.
    pub(crate) body: TokenStream,
}

/// What an arm waits for, with its operands.
pub(crate) enum Operation {
    Recv(Expr),
    Send(Expr, Expr),
    /// `send(tx, take SLOT)`
    SendTake(Expr, Expr),
    Wait(Expr),
    Default,
    DefaultAfter(Expr),
}

impl Operation {
    pub(crate) fn is_default(&self) -> bool {
        matches!(self, Operation::Default | Operation::DefaultAfter(_))
    }
}

/// The names that an arm may begin with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Name {
    Recv,
    Send,
    Wait,
    Default,
}

impl Name {
    pub(crate) const ALL: [Name; 4] = [Name::Recv, Name::Send, Name::Wait, Name::Default];

    pub(crate) fn text(self) -> &'static str {
        match self {
            Name::Recv => "recv",
            Name::Send => "send",
            Name::Wait => "wait",
            Name::Default => "default",
        }
    }

    /// How an arm with it begins.
    fn example(self) -> &'static str {
        match self {
            Name::Recv => "recv(rx)",
            Name::Send => "send(tx, VALUE)",
            Name::Wait => "wait(EVENT)",
            Name::Default => "default",
        }
    }
}

impl Parse for Select {
    /// Always succeeds: what is wrong is in [`Select::errors`].
    fn parse(input: ParseStream<'_>) -> Result<Self> {
        let mut select = Select::default();
        select.preference(input);
        while !input.is_empty() {
            let before = select.errors.len();
            match select.arm(input) {
                Ok(Some(arm)) => select.keep(arm),
                Ok(None) => {}
                Err(error) => {
                    select.errors.push(error);
                    // A block where something else is wanted is the arm's body.
                    recover::skip_arm(input, input.peek(token::Brace));
                    continue;
                }
            }
            select.separator(input, before);
        }
        Ok(select)
    }
}

impl Select {
    /// `biased;` at the beginning.
    fn preference(&mut self, input: ParseStream<'_>) {
        let Some(word) = recover::take_biased(input) else { return };
        self.biased = true;
        if input.parse::<Token![;]>().is_err() {
            self.errors.push(recover::error_here(input, word.span(), "expected `;` after `biased`"));
            let _: Option<Token![,]> = input.parse().ok();
        }
    }

    /// Adds an arm, unless it is a `default` too many.
    fn keep(&mut self, arm: Arm) {
        if arm.operation.is_default()
            && let Some(first) = self.arms.iter().find(|earlier| earlier.operation.is_default())
        {
            self.errors.push(Error::new(arm.span, "a second `default`: `select!` takes one at most"));
            self.errors.push(Error::new(first.span, "the first `default` is here"));
            return;
        }
        self.arms.push(arm);
    }

    /// One arm, without the comma after it. `None` is an arm that had mistakes, which are noted; `Err` is one that ended
    /// where nothing is known of what follows.
    fn arm(&mut self, input: ParseStream<'_>) -> Result<Option<Arm>> {
        let cfg = self.attributes(input)?;
        let noted = self.errors.len();
        if let Some(error) = recover::pattern_first(input) {
            return Err(error);
        }
        let Some((word, name)) = self.name(input)? else { return Ok(None) };
        let guessed = self.errors.len() > noted;
        let operation = self.operation(input, &word, name)?;
        let pattern = self.pattern(input, &word, name)?;
        let arrow: Token![=>] = input.parse()?;
        let body = self.body(input, &arrow);
        if name == Name::Default {
            if let Some((_, arrow)) = &pattern {
                self.errors.push(Error::new(*arrow, "`default` has no result: expected `=>`"));
            }
            if let Some(attribute) = &cfg.first {
                let text = "`#[cfg]` can't stand on `default`: put it on the whole `select!`";
                self.errors.push(Error::new(*attribute, text));
            }
        }
        if guessed {
            // What else seems to be wrong may follow from that.
            self.errors.truncate(noted + 1);
        }
        let (Some(operation), Some(body)) = (operation, body) else { return Ok(None) };
        if name == Name::Default && (guessed || pattern.is_some()) {
            return Ok(None);
        }
        let pattern = pattern.map(|(pattern, _)| pattern);
        Ok(Some(Arm { cfg: cfg.predicates, span: word.span(), operation, pattern, body }))
    }

    /// The attributes of an arm, of which there is only `#[cfg(..)]`.
    fn attributes(&mut self, input: ParseStream<'_>) -> Result<Cfg> {
        let mut cfg = Cfg::default();
        for attribute in input.call(syn::Attribute::parse_outer)? {
            let span = attribute.pound_token.span;
            if let Ok(list) = attribute.meta.require_list()
                && list.path.is_ident("cfg")
            {
                cfg.first.get_or_insert(span);
                cfg.predicates.push(list.tokens.clone());
            } else {
                let text = "this attribute can't stand on an arm of `select!`: expected `#[cfg(..)]`";
                self.errors.push(Error::new_spanned(&attribute, text));
            }
        }
        Ok(cfg)
    }

    /// The operation's name. One that is nearly right is noted and taken for what it seems to mean; `None` is a `biased`
    /// in the wrong place.
    fn name(&mut self, input: ParseStream<'_>) -> Result<Option<(Ident, Name)>> {
        if let Some(word) = recover::take_biased(input) {
            let text = if self.biased && self.arms.is_empty() {
                "`biased` is given twice"
            } else {
                "`biased;` goes before the first arm"
            };
            self.errors.push(Error::new(word.span(), text));
            return Ok(None);
        }
        let names = || {
            let names: Vec<String> = Name::ALL.iter().map(|name| format!("`{}`", name.text())).collect();
            format!("expected one of {}", names.join(", "))
        };
        if !input.peek(Ident::peek_any) && !input.peek(Token![_]) {
            return Err(input.error(names()));
        }
        let word = if let Ok(underscore) = input.parse::<Token![_]>() {
            Ident::new("_", underscore.span)
        } else {
            input.call(Ident::parse_any)?
        };
        if let Some(name) = Name::ALL.into_iter().find(|name| word == name.text()) {
            return Ok(Some((word, name)));
        }
        if input.peek(Token![.]) {
            let text = format!(
                "`{word}.` begins no operation: it is `recv(rx)`, `send(tx, value)`, or of an event `wait(event)`"
            );
            return Err(Error::new(word.span(), text));
        }
        let mut text = format!("unknown operation `{word}`: {}", names());
        let Some((name, instead)) = recover::meant(&word.to_string()) else {
            return Err(Error::new(word.span(), text));
        };
        text.push_str(&format!("; did you mean `{instead}`?"));
        self.errors.push(Error::new(word.span(), text));
        Ok(Some((word, name)))
    }

    /// The operands in their parentheses. Mistakes inside these are noted and give `None`.
    fn operation(&mut self, input: ParseStream<'_>, word: &Ident, name: Name) -> Result<Option<Operation>> {
        if !input.peek(token::Paren) {
            if name == Name::Default {
                return Ok(Some(Operation::Default));
            }
            let text = format!("expected `(` after `{word}`: `{}`", name.example());
            return Err(recover::error_here(input, word.span(), text));
        }
        let content;
        let paren = syn::parenthesized!(content in input);
        let operation = operands(&content, name, paren.span.join());
        // What is left has been complained of; unread, it would be once more.
        let _: TokenStream = content.parse()?;
        Ok(operation.map_err(|error| self.errors.push(error)).ok())
    }

    /// `-> PATTERN`, if it is there, and where the arrow is; leaves the input at `=>`.
    fn pattern(&mut self, input: ParseStream<'_>, word: &Ident, name: Name) -> Result<Option<(Pat, Span)>> {
        if !input.peek(Token![->]) {
            if input.peek(Token![=>]) {
                return Ok(None);
            }
            let text = match name {
                Name::Default => "expected `=>` and a body after `default`".to_owned(),
                _ => format!("expected `-> PATTERN => BODY` or `=> BODY` after `{word}(..)`"),
            };
            return Err(recover::error_here(input, word.span(), text));
        }
        let arrow: Token![->] = input.parse()?;
        if let Some(error) = recover::missing_fat_arrow(input, joined(arrow.spans)) {
            return Err(error);
        }
        if input.peek(Token![=>]) {
            return Err(Error::new(joined(arrow.spans), "expected a pattern after `->`"));
        }
        let pattern = input.call(Pat::parse_multi_with_leading_vert)?;
        if let Ok(colon) = input.parse::<Token![:]>() {
            self.errors.push(Error::new(colon.span, "a pattern has no type here: expected `=>`"));
            input.parse::<Type>()?;
        }
        if input.peek(Token![if]) {
            let text = "an arm takes no guard: make it the operand that may be missing, as in \
                        `recv(condition.then_some(&rx))`";
            return Err(input.error(text));
        }
        if !input.peek(Token![=>]) {
            return Err(input.error("expected `=>` after the pattern"));
        }
        Ok(Some((pattern, joined(arrow.spans))))
    }

    /// The body. One that can't be read is noted and gives `None`.
    fn body(&mut self, input: ParseStream<'_>, arrow: &Token![=>]) -> Option<TokenStream> {
        if recover::at_separator(input) {
            let text = "expected a body after `=>`: an expression or a block";
            self.errors.push(Error::new(joined(arrow.spans), text));
            return None;
        }
        if let Some(block) = recover::take_block(input) {
            return Some(block.into());
        }
        // Looked at ahead, to skip a broken body from its beginning.
        let ahead = input.fork();
        let body = match ahead.call(Expr::parse_with_earlier_boundary_rule) {
            Ok(body) => body,
            Err(error) => {
                self.errors.push(error);
                recover::skip_arm(input, true);
                return None;
            }
        };
        input.advance_to(&ahead);
        if !ends_itself(&body) && !recover::at_separator(input) {
            self.errors.push(input.error("expected `,` after the body of an arm"));
            if !recover::at_arm(input.cursor()) {
                recover::skip_arm(input, false);
            }
        }
        Some(one_expression(body))
    }

    /// The comma after an arm. It is optional, because `body` has asked for it where it is not.
    fn separator(&mut self, input: ParseStream<'_>, before: usize) {
        if input.peek(Token![;]) {
            if self.errors.len() == before {
                self.errors.push(input.error("expected `,` between arms, found `;`"));
            }
            let _: Option<Token![;]> = input.parse().ok();
        } else {
            let _: Option<Token![,]> = input.parse().ok();
        }
    }
}

/// The `#[cfg(..)]`s of an arm.
#[derive(Default)]
struct Cfg {
    first: Option<Span>,
    predicates: Vec<TokenStream>,
}

/// What stands in the parentheses after `name`; `group` is their span.
fn operands(content: ParseStream<'_>, name: Name, group: Span) -> Result<Operation> {
    if content.is_empty() {
        return Err(Error::new(group, format!("expected {}", wanted(name))));
    }
    let first: Expr = content.parse()?;
    if name == Name::Send {
        if !content.is_empty() && !content.peek(Token![,]) {
            return Err(content.error("expected `,` between the sender and the value"));
        }
        let _: Option<Token![,]> = content.parse()?;
        if content.is_empty() {
            return Err(Error::new(group, format!("expected {}", wanted(name))));
        }
    }
    let operation = match name {
        Name::Recv => Operation::Recv(first),
        Name::Wait => Operation::Wait(first),
        Name::Default => Operation::DefaultAfter(first),
        Name::Send if recover::take_slot(content)? => Operation::SendTake(first, place(content)?),
        Name::Send => Operation::Send(first, content.parse()?),
    };
    let comma: Option<Token![,]> = content.parse()?;
    match (content.is_empty(), comma) {
        (true, _) => Ok(operation),
        (false, Some(_)) => Err(content.error(format!("one operand too many: expected {}", wanted(name)))),
        (false, None) => Err(content.error("expected `)` after the operand")),
    }
}

fn wanted(name: Name) -> &'static str {
    match name {
        Name::Recv => "one operand, the receiver: `recv(rx)`",
        Name::Send => "two operands: `send(tx, VALUE)` or `send(tx, take SLOT)`",
        Name::Wait => "one operand, the event: `wait(EVENT)`",
        Name::Default => "one operand, how long to wait: `default(DURATION)`, or no parentheses",
    }
}

/// The place after `take`.
fn place(content: ParseStream<'_>) -> Result<Expr> {
    let text = "expected a place of type `Option<T>` after `take`, such as `slot` or `self.slot`";
    if content.peek(Token![&]) {
        return Err(content.error(format!("{text}: it is borrowed without a `&`")));
    }
    let expression: Expr = content.parse()?;
    if is_place(&expression) { Ok(expression) } else { Err(Error::new_spanned(expression, text)) }
}

fn is_place(expression: &Expr) -> bool {
    match expression {
        Expr::Path(_) | Expr::Field(_) | Expr::Index(_) | Expr::Macro(_) | Expr::Verbatim(_) => true,
        Expr::Unary(unary) => matches!(unary.op, UnOp::Deref(_)),
        Expr::Paren(paren) => is_place(&paren.expr),
        Expr::Group(group) => is_place(&group.expr),
        _ => false,
    }
}

/// Whether an arm may end with it without a comma: the rule of `match`.
fn ends_itself(body: &Expr) -> bool {
    match body {
        Expr::If(_)
        | Expr::Match(_)
        | Expr::Block(_)
        | Expr::Unsafe(_)
        | Expr::While(_)
        | Expr::Loop(_)
        | Expr::ForLoop(_)
        | Expr::TryBlock(_)
        | Expr::Const(_) => true,
        Expr::Group(group) => ends_itself(&group.expr),
        _ => false,
    }
}

/// The body's tokens. A `macro_rules` argument gets parentheses, since at the end of a block `{ a } + b` would be read
/// as two.
fn one_expression(body: Expr) -> TokenStream {
    match body {
        Expr::Group(group) => {
            let inner = group.expr;
            quote_spanned!(Span::mixed_site()=> (#inner))
        }
        other => other.into_token_stream(),
    }
}

/// Both characters of an arrow, where the compiler can say that.
fn joined(spans: [Span; 2]) -> Span {
    spans[0].join(spans[1]).unwrap_or(spans[0])
}
