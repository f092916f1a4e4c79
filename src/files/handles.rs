//! How many files may the process have open at once, and what share of them has a store of state?
//!
//! `cli::main` raises the limit once, before anything is opened; `state::rocks` asks for its share
//! when it makes a store. What always holds: the stores of a process together leave half of what it
//! may open to connections, inputs and results.

/// What a process may have where the system does not say: POSIX's usual default.
const LIMIT_UNKNOWN: u64 = 1024;
/// With this many for each store none is ever closed and opened again: over a terabyte of state.
const PLENTY: u64 = 16_384;
/// Fewer would have a store open files all the time.
const SHARE_MIN: u64 = 64;

/// Raises how many files the process may have open to what the system lets it: services are started
/// with a tenth of a percent of that, and a store whose state has grown needs more. Where that is
/// not allowed, everything goes on with fewer.
pub(crate) fn raise_limit() {
    // A system without a limit has nothing to raise.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// Files that each of so many stores may have open. None: as many as it likes.
pub(crate) fn share(stores: usize) -> Option<i32> {
    let limit = rlimit::Resource::NOFILE.get_soft().unwrap_or(LIMIT_UNKNOWN);
    share_of(limit, stores as u64)
}

fn share_of(limit: u64, stores: u64) -> Option<i32> {
    let share = limit / 2 / stores.max(1);
    // The bound is far below that of the type.
    (share < PLENTY).then(|| i32::try_from(share.max(SHARE_MIN)).unwrap_or(i32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_limit_is_shared_and_plenty_is_no_bound() {
        for (limit, stores, share) in [
            (1024, 1, Some(512)),
            (1024, 4, Some(128)),
            (1024, 100, Some(64)),
            (1024, 0, Some(512)),
            (32_768, 1, None),
            (32_768, 2, Some(8192)),
            (1 << 20, 16, None),
            (u64::MAX, 64, None),
        ] {
            assert_eq!(share_of(limit, stores), share, "{limit} for {stores}");
        }
    }

    #[test]
    fn the_limit_is_raised_to_the_hard_one() {
        raise_limit();
        let (soft, hard) = rlimit::Resource::NOFILE.get().expect("a limit");
        assert_eq!(soft, hard);
    }
}
