//! A literal of the wrong kind is told by the macro; any other expression by the compiler, where it stands.

mod literal {
    #[rendez::main(workers = "four")]
    fn main() {}
}

mod expression {
    const WORKERS: u8 = 4;

    #[rendez::main(workers = WORKERS)]
    fn main() {}
}

fn main() {}
