//! Threads of the library's in a process that is not the library's.

use std::ffi::{CString, c_void};
use std::io;
use std::marker::PhantomData;
use std::mem::MaybeUninit;
use std::ptr;
use std::time::Duration;

use super::panics;
use crate::store::memory;

/// What a thread has for its stack: the standard library's choice.
const STACK: usize = 2 << 20;

/// A thread of the library's, which goes on by itself where this is dropped.
///
/// It is the system's. To begin one of the standard library's takes memory that cannot be refused: for what it does when the thread
/// ends, which the C library notes in the new thread, and without which it ends the process.
pub struct Thread {
    id: libc::pthread_t,
}

// SAFETY: it is what a thread is named by, in all threads alike; some systems have a pointer for it, which is not looked through here.
unsafe impl Send for Thread {}
// SAFETY: as above; nothing can be done with a reference to it.
unsafe impl Sync for Thread {}

impl Thread {
    /// Waits for its end.
    pub fn join(self) {
        let id = self.id;
        std::mem::forget(self);
        let _not_cancelled = NotCancelled::begin();
        // SAFETY: the thread was made to be joined, and this is the only one who has its number, once.
        unsafe { libc::pthread_join(id, ptr::null_mut()) };
    }

    /// Starts `begin` with `argument` in a thread that takes no signals.
    ///
    /// # Safety
    ///
    /// `begin` may be called once, in another thread, with `argument`, from now on.
    unsafe fn start(
        begin: extern "C" fn(*mut c_void) -> *mut c_void,
        argument: *mut c_void,
    ) -> io::Result<Self> {
        let ok = |code| if code == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(code)) };
        let (mut attributes, mut id) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        let _blocked = SignalsBlocked::begin();
        // SAFETY: the attributes are initialised by the first call, used by the others, and destroyed; the number is read only where
        // the system says that it wrote it. The caller promises the rest.
        unsafe {
            ok(libc::pthread_attr_init(attributes.as_mut_ptr()))?;
            let started =
                ok(libc::pthread_attr_setstacksize(attributes.as_mut_ptr(), STACK)).and_then(|()| {
                    ok(libc::pthread_create(id.as_mut_ptr(), attributes.as_ptr(), begin, argument))
                });
            libc::pthread_attr_destroy(attributes.as_mut_ptr());
            started.map(|()| Thread { id: id.assume_init() })
        }
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        // SAFETY: as in `join`.
        unsafe { libc::pthread_detach(self.id) };
    }
}

/// What a thread begins with.
struct Beginning {
    name: CString,
    work: Box<dyn FnOnce() + Send>,
}

extern "C" fn begin(beginning: *mut c_void) -> *mut c_void {
    // SAFETY: `spawn` made it, and gave it to this thread alone.
    let Beginning { name, work } = *unsafe { Box::from_raw(beginning.cast::<Beginning>()) };
    // SAFETY: it is a string of the C language, and this thread's own name. Of one that is too long nothing comes.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    unsafe {
        libc::pthread_setname_np(libc::pthread_self(), name.as_ptr())
    };
    // SAFETY: as above.
    #[cfg(target_vendor = "apple")]
    unsafe {
        libc::pthread_setname_np(name.as_ptr())
    };
    drop(name);
    // Whose work may panic says what is to come of it.
    let _ = panics::catch(work);
    ptr::null_mut()
}

/// Starts a thread that takes no signals.
pub fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<Thread> {
    // Small things are asked for in ways that cannot be refused.
    memory::room_for_small_things()?;
    let name = CString::new(name).unwrap_or_default();
    let beginning = Box::into_raw(Box::new(Beginning { name, work: Box::new(work) }));
    // SAFETY: it is what `begin` wants, and may go to another thread.
    unsafe { Thread::start(begin, beginning.cast()) }.map_err(|error| {
        // SAFETY: no thread was started that could have it.
        drop(unsafe { Box::from_raw(beginning) });
        // The system says the same where there is no memory for the stack, and what goes with it, and where there are too many threads.
        let is_refused = error.raw_os_error() == Some(libc::EAGAIN) && memory::room_for(2 * STACK).is_err();
        if is_refused { io::Error::from_raw_os_error(libc::ENOMEM) } else { error }
    })
}

/// Does `work` in this thread, and at the same time in so many others, or as many as there can be, and comes back when all have ended.
/// None of them may panic: the work of another thread is over then, and nobody told.
pub fn at_once(others: usize, work: &(dyn Fn() + Sync)) {
    extern "C" fn begin_borrowed(work: *mut c_void) -> *mut c_void {
        // SAFETY: `at_once` made it of such a reference, which stays until this thread has ended.
        let work = unsafe { *work.cast_const().cast::<&(dyn Fn() + Sync)>() };
        let _ = panics::catch(work);
        ptr::null_mut()
    }
    /// Waits for all of them, also where this thread panics.
    struct Joined(Vec<Thread>);
    impl Drop for Joined {
        fn drop(&mut self) {
            self.0.drain(..).for_each(Thread::join);
        }
    }
    let argument: *const &(dyn Fn() + Sync) = &work;
    let mut joined = Joined(Vec::with_capacity(others));
    for _ in 0..others {
        // SAFETY: the work may be done by several threads, and is there until all of them are joined, before this function returns.
        match unsafe { Thread::start(begin_borrowed, argument.cast_mut().cast()) } {
            Ok(thread) => joined.0.push(thread),
            Err(_) => break,
        }
    }
    work();
}

/// What a thread that does something wrong gets from the kernel, at that moment. Blocked, they would end the process without
/// the handler that it may have for them.
const ABOUT_THE_THREAD_ITSELF: [libc::c_int; 6] =
    [libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGSEGV, libc::SIGSYS, libc::SIGTRAP];

/// Until this is dropped the calling thread takes no signals, nor do threads that it starts, ever.
///
/// The kernel gives a signal for the process to any thread that does not block it. A program that blocks one in its own threads,
/// to wait for it with `sigwait`, would die of the library's.
struct SignalsBlocked {
    before: Option<libc::sigset_t>,
}

impl SignalsBlocked {
    fn begin() -> Self {
        let (mut all, mut before) = (MaybeUninit::uninit(), MaybeUninit::uninit());
        // SAFETY: sigfillset initialises the set; the other calls change that, or this thread's mask, and write the old mask to
        // `before`, which is read only where they say that they did.
        let blocked = unsafe {
            libc::sigfillset(all.as_mut_ptr());
            for signal in ABOUT_THE_THREAD_ITSELF {
                libc::sigdelset(all.as_mut_ptr(), signal);
            }
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), before.as_mut_ptr()) == 0
        };
        // SAFETY: as above.
        SignalsBlocked { before: blocked.then(|| unsafe { before.assume_init() }) }
    }
}

impl Drop for SignalsBlocked {
    fn drop(&mut self) {
        if let Some(before) = &self.before {
            // SAFETY: it is a mask that this thread had; there is nothing to be told.
            unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, before, std::ptr::null_mut()) };
        }
    }
}

/// Until this is dropped nobody cancels the calling thread (`pthread_cancel`): what waits for that, waits longer.
///
/// The C library ends a thread in the middle of a system call that it was asked to end, by throwing an exception of its own.
/// That would leave locks behind that nobody unlocks, and ends the process where it comes to a function of Rust's. Calls that
/// come from C hold this from their beginning to their end; those in which the price would be felt, around what they ask of
/// the system.
pub struct NotCancelled {
    before: libc::c_int,
    /// The flag is one of the thread that began it.
    _stays: PhantomData<*const ()>,
}

#[cfg(target_vendor = "apple")]
const DISABLE: libc::c_int = 0;
#[cfg(not(target_vendor = "apple"))]
const DISABLE: libc::c_int = 1;

#[cfg(not(target_os = "android"))]
unsafe extern "C" {
    fn pthread_setcancelstate(state: libc::c_int, before: *mut libc::c_int) -> libc::c_int;
}

/// There is no cancellation.
#[cfg(target_os = "android")]
unsafe extern "C" fn pthread_setcancelstate(_: libc::c_int, _: *mut libc::c_int) -> libc::c_int {
    0
}

impl NotCancelled {
    /// From here on.
    #[inline]
    pub fn begin() -> Self {
        let mut before = DISABLE;
        // SAFETY: the call changes a flag of this thread's and writes what it was to `before`.
        unsafe { pthread_setcancelstate(DISABLE, &mut before) };
        NotCancelled { before, _stays: PhantomData }
    }
}

impl Drop for NotCancelled {
    #[inline]
    fn drop(&mut self) {
        if self.before != DISABLE {
            let mut disabled = DISABLE;
            // SAFETY: as above. It makes nothing happen that was put off: that does the next system call.
            unsafe { pthread_setcancelstate(self.before, &mut disabled) };
        }
    }
}

/// Lets other threads run.
pub fn yield_now() {
    #[cfg(filedb_schedules)]
    shuttle::thread::yield_now();
    #[cfg(not(filedb_schedules))]
    std::thread::yield_now();
}

/// Lets others run who are in the way, and waits a moment in a loop of so many rounds: seldom with a call of the system.
#[inline]
pub fn spin(round: u32) {
    if round.is_multiple_of(64) || cfg!(filedb_schedules) { yield_now() } else { std::hint::spin_loop() }
}

/// Sleeps for that long, however often the thread is cancelled meanwhile.
pub fn sleep(time: Duration) {
    if cfg!(filedb_schedules) {
        return yield_now();
    }
    let _not_cancelled = NotCancelled::begin();
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::parallel::on_all_cores;

    /// The signals that the calling thread takes, without those of the kernel's and the C library's own.
    fn taken() -> Vec<libc::c_int> {
        let mut mask = MaybeUninit::uninit();
        // SAFETY: with no new mask the call only writes the old one.
        let mask = unsafe {
            assert_eq!(libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), mask.as_mut_ptr()), 0);
            mask.assume_init()
        };
        let unblockable = [libc::SIGKILL, libc::SIGSTOP];
        // SAFETY: only looks at the mask.
        (1..32).filter(|n| !unblockable.contains(n) && unsafe { libc::sigismember(&mask, *n) } == 0).collect()
    }

    #[test]
    fn threads_of_the_library_take_the_signals_that_they_cause_and_no_others() {
        let (before, mut wanted) = (taken(), ABOUT_THE_THREAD_ITSELF.to_vec());
        assert!(before.len() > wanted.len());
        wanted.sort_unstable();
        let (tell, told) = std::sync::mpsc::channel();
        let thread = spawn("a thread", move || tell.send(taken()).unwrap()).unwrap();
        assert_eq!(told.recv().unwrap(), wanted);
        thread.join();
        let caller = std::thread::current().id();
        for (id, taken) in on_all_cores(64, u64::MAX, |_| (std::thread::current().id(), taken())) {
            assert_eq!(taken, if id == caller { before.clone() } else { wanted.clone() });
        }
        assert_eq!(taken(), before);
    }
}
