//! Settlement: the acquirer's own list of what it moved, held against the books. It finds what only the acquirer knows:
//! money whose answer was lost, a second capture it never told, a refund under an id that had failed.

use crate::bus::{BusTx, Failure, Turn};
use crate::gateway::Listed;
use crate::payments::moved;
use crate::tx::Fault;

/// Takes a part of the list. What cannot be taken is told and left to a person; the rest goes on.
pub fn settle<T: BusTx>(tx: &mut T, listed: &Listed, turn: &mut Turn<'_>) -> Result<(), Fault> {
    if listed.up_to <= tx.settled_up_to()? {
        return Ok(());
    }
    for movement in &listed.movements {
        let told = turn.told.len();
        match tx.piece(&mut |tx| moved(tx, movement, true, turn)) {
            Ok(()) => {}
            Err(Failure::Storage(fault)) => return Err(fault),
            Err(Failure::Never(problem) | Failure::Later(problem)) => {
                turn.told.truncate(told);
                turn.troubles.push(format!(
                    "the acquirer's {} does not fit the books: {}",
                    movement.reference, problem.detail
                ));
            }
        }
    }
    tx.put_settled_up_to(listed.up_to)
}
