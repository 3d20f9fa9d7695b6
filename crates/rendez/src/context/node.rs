//! A context in memory: one allocation with a count of references, which knows its parent.
//!
//! # Who keeps whom
//!
//! A node is kept by its handles, by its children (each has one reference to its parent), by the functions of `after_func` that
//! are to run, and by itself: by the alarm of its own deadline while that is set, else, if it has an ancestor that can end it, from
//! when somebody asks for `done` until it ends. A parent does not keep its children: those
//! that can be cancelled are in a list of their nearest cancellable ancestor, and unlink themselves, under its lock,
//! before they are freed. So a child that ends leaves nothing behind, and who walks such a list finds memory that is there;
//! whether somebody still wants it says the count, which is never raised from zero.
//!
//! That it keeps itself is for those who have a clone of `done`, which is to close when it ends and not before. So a reference that
//! goes and finds only that one beside it, and `done` in nobody's hands, takes it along
//! ([`let_go`](Scope::let_go)): a context that was detached and forgotten leaves its parent's memory, too.
//!
//! Freeing goes up the chain of parents in a loop, so a chain may be of any length.

use super::scope::Scope;
use crate::task::heap;
use std::{
    alloc::Layout,
    any::Any,
    fmt,
    mem::ManuallyDrop,
    panic::{RefUnwindSafe, UnwindSafe},
    process,
    ptr::NonNull,
    sync::atomic::{AtomicUsize, Ordering, fence},
};

/// What a [`Context`](super::Context) is.
#[derive(Clone)]
pub(super) enum Repr {
    Background,
    Todo,
    Made(NodeRef),
}

impl Repr {
    pub(super) fn node(&self) -> Option<&Node> {
        match self {
            Repr::Made(node) => Some(node.get()),
            _ => None,
        }
    }

    /// The nearest context, from this one upwards, that can be cancelled.
    pub(super) fn cancellable(&self) -> Option<&Node> {
        self.node().and_then(Node::cancellable)
    }
}

pub(super) enum Kind {
    /// It can be cancelled.
    Cancel(Scope),
    Value {
        value: Box<dyn Any + Send + Sync>,
        type_name: &'static str,
    },
    WithoutCancel,
}

pub(super) struct Node {
    refs: AtomicUsize,
    /// Where it is: what references are made of, one of which will free it.
    this: NonNull<Node>,
    parent: ManuallyDrop<Repr>,
    /// Of its ancestors, the nearest that can be cancelled and whose end reaches here. `parent` keeps it.
    above: Option<NonNull<Node>>,
    kind: Kind,
}

// SAFETY: `this` and `above` are only read; the count is atomic; the rest is `Send` and `Sync` by itself or sees to it (`Scope`).
unsafe impl Send for Node {}
// SAFETY: as above.
unsafe impl Sync for Node {}

impl Node {
    pub(super) fn parent(&self) -> &Repr {
        &self.parent
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.kind
    }

    pub(super) fn above(&self) -> Option<&Node> {
        // SAFETY: `parent`, or an ancestor of it, has a reference to it as long as this lives.
        self.above.map(|above| unsafe { above.as_ref() })
    }

    pub(super) fn cancellable(&self) -> Option<&Node> {
        match self.kind {
            Kind::Cancel(_) => Some(self),
            _ => self.above(),
        }
    }

    fn own_scope(&self) -> Option<&Scope> {
        match &self.kind {
            Kind::Cancel(scope) => Some(scope),
            _ => None,
        }
    }

    /// Of one that can be cancelled.
    pub(super) fn scope(&self) -> &Scope {
        self.own_scope().expect("only what can be cancelled is asked for that")
    }

    /// A reference, if there still are any. Who asks sees to it that the memory is there.
    pub(super) fn upgrade(&self) -> Option<NodeRef> {
        let mut refs = self.refs.load(Ordering::Relaxed);
        while refs != 0 {
            check_count(refs);
            match self.refs.compare_exchange_weak(refs, refs + 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Some(NodeRef(self.this)),
                Err(changed) => refs = changed,
            }
        }
        None
    }

    /// A reference, for whoever knows that there is another one.
    pub(super) fn to_ref(&self) -> NodeRef {
        check_count(self.refs.fetch_add(1, Ordering::Relaxed));
        NodeRef(self.this)
    }
}

/// For a reference that is about to go: goes, if others stay, and says so. If the only one that would stay is the one by which the
/// node keeps itself, that is given up as well.
///
/// They go one by one here, so that of several at once one is the last.
///
/// # Safety
/// The caller has the reference, and if the answer is `true`, does not use it again.
unsafe fn goes_before_others(node: NonNull<Node>) -> bool {
    // SAFETY: by contract. (No reference to all of the node is there when it may be freed, at the exchange.)
    let (refs, scope) = unsafe { (&(*node.as_ptr()).refs, node.as_ref().own_scope()) };
    let Some(scope) = scope.filter(|scope| scope.may_keep_itself()) else { return false };
    // What others did who had a reference, and gave it up, is seen.
    let mut now = refs.load(Ordering::Acquire);
    while now > 2 {
        match refs.compare_exchange_weak(now, now - 1, Ordering::Release, Ordering::Acquire) {
            Ok(_) => return true,
            Err(changed) => now = changed,
        }
    }
    if now == 2 {
        scope.let_go(|| refs.load(Ordering::Acquire) == 2);
    }
    false
}

/// References can be forgotten, so their number must not be trusted to the memory that they take.
#[inline]
fn check_count(refs: usize) {
    if refs > usize::MAX / 2 {
        process::abort();
    }
}

/// A reference that counts.
pub(super) struct NodeRef(NonNull<Node>);

// SAFETY: a shared reference to a node, which is `Send` and `Sync`, and may be the last one.
unsafe impl Send for NodeRef {}
// SAFETY: as above.
unsafe impl Sync for NodeRef {}

// Nothing is left half changed by a panic: user code runs under no lock.
impl UnwindSafe for NodeRef {}
impl RefUnwindSafe for NodeRef {}

impl NodeRef {
    pub(super) fn new(parent: Repr, kind: Kind) -> NodeRef {
        let above = match kind {
            Kind::WithoutCancel => None,
            _ => parent.cancellable().map(NonNull::from),
        };
        let this = heap::allocate(Layout::new::<Node>()).cast::<Node>();
        let node = Node { refs: AtomicUsize::new(1), this, parent: ManuallyDrop::new(parent), above, kind };
        // SAFETY: the place is made for it.
        unsafe { this.write(node) };
        NodeRef(this)
    }

    pub(super) fn get(&self) -> &Node {
        // SAFETY: this is a counted reference.
        unsafe { self.0.as_ref() }
    }
}

impl Clone for NodeRef {
    fn clone(&self) -> Self {
        self.get().to_ref()
    }
}

impl Drop for NodeRef {
    fn drop(&mut self) {
        // SAFETY: ours, and given up here.
        unsafe {
            if !goes_before_others(self.0) {
                release(self.0);
            }
        }
    }
}

/// Where a node was, to be freed.
struct Memory(NonNull<Node>);

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: `NodeRef::new` allocated it, and whoever made this has dropped the node, or is about to leave it.
        unsafe { heap::free(self.0.cast(), Layout::new::<Node>()) };
    }
}

/// Gives up a reference, and frees what nobody has any more by that, upwards.
///
/// # Safety
/// The caller has the reference, and does not use it again.
unsafe fn release(mut node: NonNull<Node>) {
    loop {
        // SAFETY: this reference, or the one that the freed child had, is ours and given up here. Who brings the count to
        // zero is alone, but for those who walk the list that it is in: they don't raise the count, and it is unlinked
        // before it is freed.
        let parent = unsafe {
            if node.as_ref().refs.fetch_sub(1, Ordering::Release) != 1 {
                return;
            }
            fence(Ordering::Acquire);
            if let (Kind::Cancel(_), Some(above)) = (&node.as_ref().kind, node.as_ref().above()) {
                above.scope().unlink(node.as_ref());
            }
            let _memory = Memory(node);
            // Taken first, so that it is released even if something in the node panics as it is dropped.
            let parent = ManuallyDrop::take(&mut node.as_mut().parent);
            node.drop_in_place();
            parent
        };
        match parent {
            Repr::Made(parent) => {
                node = ManuallyDrop::new(parent).0;
                // SAFETY: the freed child's, which is ours now.
                if unsafe { goes_before_others(node) } {
                    return;
                }
            }
            _ => return,
        }
    }
}

/// The reference by which a node keeps itself. It may go under the lock of the node's own scope, by whoever has another one.
pub(super) struct SelfRef(ManuallyDrop<NodeRef>);

impl SelfRef {
    pub(super) fn to(node: &Node) -> SelfRef {
        SelfRef(ManuallyDrop::new(node.to_ref()))
    }

    pub(super) fn get(&self) -> &Node {
        self.0.get()
    }
}

impl Drop for SelfRef {
    fn drop(&mut self) {
        // SAFETY: ours, and given up here.
        unsafe { release(self.0.0) };
    }
}

impl fmt::Debug for NodeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("NodeRef").field(&self.0).finish()
    }
}
