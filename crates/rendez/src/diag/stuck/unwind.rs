//! Unwinding a copy of a stack, by the tables that programs carry for their panics (`.eh_frame`), which are exact at every instruction. Frame
//! pointers would be simpler and are not there: release builds use that register for other things.
//!
//! The tables are read where they lie in memory, found by the program headers. While they are read the dynamic linker holds its lock, so none
//! is unloaded meanwhile.

use gimli::{
    BaseAddresses, CfaRule, EhFrame, EhFrameHdr, EndianSlice, NativeEndian, Pointer, Register, RegisterRule,
    UnwindContext, UnwindSection,
};
use std::{ffi::c_int, slice};

/// Of an endless recursion, or a deep one, the innermost say enough.
const MOST: usize = 64;

#[cfg(target_arch = "x86_64")]
mod machine {
    //! Numbered as the x86-64 psABI does; the return address takes the place of the instruction pointer.
    pub(super) const COUNT: usize = 17;
    pub(super) const SP: usize = 7;
    pub(super) const PC: usize = 16;
    /// In the order of the numbers.
    const PLACES: [libc::c_int; COUNT] = [
        libc::REG_RAX,
        libc::REG_RDX,
        libc::REG_RCX,
        libc::REG_RBX,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_RBP,
        libc::REG_RSP,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
        libc::REG_RIP,
    ];

    pub(super) fn read(context: &libc::ucontext_t) -> [usize; COUNT] {
        PLACES.map(|place| context.uc_mcontext.gregs[place as usize] as usize)
    }
}

#[cfg(target_arch = "aarch64")]
mod machine {
    //! Numbered as AArch64's DWARF does, with the program counter after the stack pointer. A caller goes on where the link register says.
    pub(super) const COUNT: usize = 33;
    pub(super) const SP: usize = 31;
    pub(super) const PC: usize = 32;

    pub(super) fn read(context: &libc::ucontext_t) -> [usize; COUNT] {
        let machine = &context.uc_mcontext;
        std::array::from_fn(|i| match i {
            SP => machine.sp as usize,
            PC => machine.pc as usize,
            _ => machine.regs[i] as usize,
        })
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
mod machine {
    //! Not known: nothing is unwound.
    pub(super) const COUNT: usize = 2;
    pub(super) const SP: usize = 0;
    pub(super) const PC: usize = 1;

    pub(super) fn read(_: &libc::ucontext_t) -> [usize; COUNT] {
        [0; COUNT]
    }
}

use machine::{COUNT, PC, SP};

/// The registers of one frame.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers([usize; COUNT]);

impl Registers {
    pub(super) const NONE: Registers = Registers([0; COUNT]);

    /// # Safety
    /// It is what the kernel has passed to a handler.
    pub(super) unsafe fn of(context: *const libc::ucontext_t) -> Registers {
        // SAFETY: by contract.
        Registers(machine::read(unsafe { &*context }))
    }

    pub(super) fn stack_pointer(&self) -> usize {
        self.0[SP]
    }

    fn get(&self, register: Register) -> Option<usize> {
        self.0.get(usize::from(register.0)).copied()
    }
}

/// The frames of the stack whose innermost one has these registers, the innermost first, as addresses that follow a call. `word` reads the
/// stack's words.
pub(super) fn frames(innermost: &Registers, word: impl Fn(usize) -> Option<usize>) -> Vec<usize> {
    let mut registers = *innermost;
    if registers.0[PC] == 0 {
        return Vec::new();
    }
    // As if it had just called something, since that is how the others are.
    let mut frames = vec![registers.0[PC].wrapping_add(1)];
    let mut exact = true;
    while frames.len() < MOST {
        let address = registers.0[PC] - usize::from(!exact);
        let Some((caller, is_trampoline)) = caller(&registers, address, &word) else { break };
        // The stack grows downwards: who does not come nearer to its beginning goes astray.
        if caller.0[PC] == 0 || caller.0[SP] <= registers.0[SP] {
            break;
        }
        registers = caller;
        exact = is_trampoline;
        frames.push(registers.0[PC].wrapping_add(exact.into()));
    }
    frames
}

/// The registers of the caller of the code at `address`, and whether that was interrupted there and has called nothing.
fn caller(
    registers: &Registers,
    address: usize,
    word: &impl Fn(usize) -> Option<usize>,
) -> Option<(Registers, bool)> {
    let mut result = None;
    with_tables(address, |tables| result = tables.step(registers, address, word));
    result
}

type Reader<'a> = EndianSlice<'a, NativeEndian>;

/// The tables of one module.
struct Tables<'a> {
    bases: BaseAddresses,
    header: Reader<'a>,
    /// Of the segment of the module that an address lies in, if it does: where that ends.
    end_of: &'a dyn Fn(usize) -> Option<usize>,
}

impl Tables<'_> {
    fn step(
        &self,
        registers: &Registers,
        address: usize,
        word: &impl Fn(usize) -> Option<usize>,
    ) -> Option<(Registers, bool)> {
        let header = EhFrameHdr::new(self.header.slice(), NativeEndian);
        let header = header.parse(&self.bases, size_of::<usize>() as u8).ok()?;
        let Pointer::Direct(start) = header.eh_frame_ptr() else { return None };
        let start = start as usize;
        // (A linker may have put them into another segment than their header.)
        let end = (self.end_of)(start)?;
        // SAFETY: it is mapped for as long as the module is, from where its header says to the end of its segment, and never written to.
        let bytes =
            unsafe { slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(start), end - start) };
        let bases = self.bases.clone().set_eh_frame(start as u64);
        let frames = EhFrame::new(bytes, NativeEndian);
        let entry = header
            .table()?
            .fde_for_address(&frames, &bases, address as u64, EhFrame::cie_from_offset)
            .ok()?;
        let mut context = UnwindContext::new();
        let row = entry.unwind_info_for_address(&frames, &bases, &mut context, address as u64).ok()?;
        let CfaRule::RegisterAndOffset { register, offset } = *row.cfa() else { return None };
        let base = registers.get(register)?.wrapping_add_signed(offset as isize);
        let mut caller = *registers;
        caller.0[SP] = base;
        let returns_to = usize::from(entry.cie().return_address_register().0);
        for number in (0..COUNT).filter(|&number| number != SP && (number != PC || number == returns_to)) {
            let value = match row.register(Register(number as u16)) {
                // What is not mentioned is as it was.
                None | Some(RegisterRule::SameValue) => continue,
                // A register that its caller does not need any more, or, of the outermost frame, where to return to.
                Some(RegisterRule::Undefined) if number == returns_to => 0,
                Some(RegisterRule::Undefined) => continue,
                Some(RegisterRule::Offset(offset)) => word(base.wrapping_add_signed(offset as isize))?,
                Some(RegisterRule::ValOffset(offset)) => base.wrapping_add_signed(offset as isize),
                Some(RegisterRule::Register(other)) => registers.get(other)?,
                _ => return None,
            };
            caller.0[number] = value;
        }
        caller.0[PC] = *caller.0.get(returns_to)?;
        Some((caller, entry.is_signal_trampoline()))
    }
}

/// Calls `f` with the tables of the module that has code at `address`, if it has some.
fn with_tables(address: usize, f: impl FnMut(&Tables<'_>)) {
    struct Search<F> {
        address: usize,
        f: F,
    }
    unsafe extern "C" fn each<F: FnMut(&Tables<'_>)>(
        info: *mut libc::dl_phdr_info,
        _: usize,
        search: *mut libc::c_void,
    ) -> c_int {
        // SAFETY: the linker passes a description of a module that is loaded, and what we gave it.
        let (info, search) = unsafe { (&*info, &mut *search.cast::<Search<F>>()) };
        // SAFETY: so many headers are there.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        let range = |header: &libc::Elf64_Phdr| {
            let start = info.dlpi_addr.wrapping_add(header.p_vaddr) as usize;
            start..start.wrapping_add(header.p_memsz as usize)
        };
        let loaded = || headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(range);
        if !loaded().any(|segment| segment.contains(&search.address)) {
            return 0;
        }
        let Some(own) = headers.iter().find(|header| header.p_type == libc::PT_GNU_EH_FRAME).map(range)
        else {
            return 1;
        };
        let end_of = |at| loaded().find(|segment| segment.contains(&at)).map(|segment| segment.end);
        let Some(end) = end_of(own.start).map(|end| end.min(own.end)) else { return 1 };
        // SAFETY: the segment is mapped while the linker holds its lock, which it does now, and read-only.
        let bytes = unsafe {
            slice::from_raw_parts(std::ptr::with_exposed_provenance::<u8>(own.start), end - own.start)
        };
        let bases = BaseAddresses::default().set_eh_frame_hdr(own.start as u64);
        (search.f)(&Tables { bases, header: EndianSlice::new(bytes, NativeEndian), end_of: &end_of });
        1
    }
    fn call<F: FnMut(&Tables<'_>)>(search: &mut Search<F>) {
        // SAFETY: `each` is called with what is passed here, during the call. It does not unwind: nothing in it panics.
        unsafe { libc::dl_iterate_phdr(Some(each::<F>), std::ptr::from_mut(search).cast()) };
    }
    call(&mut Search { address, f });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_function_of_this_test_has_tables_and_an_address_outside_has_none() {
        let mut found = 0;
        with_tables(Registers::stack_pointer as *const () as usize, |_| found += 1);
        with_tables(usize::MAX - 1, |_| found += 10);
        assert_eq!(found, 1);
    }
}
