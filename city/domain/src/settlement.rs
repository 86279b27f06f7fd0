//! Settlement: the acquirer's own list of what it moved, held against the books. It finds what only the acquirer knows:
//! money whose answer was lost, a second capture it never told, a refund under an id that had failed.

use crate::bus::{BusTx, Failure, Turn};
use crate::gateway::{Listed, is_money};
use crate::payments::{alert, moved, shown};
use crate::tx::Fault;

/// Takes a part of the list. What cannot be taken is told to a person; the rest goes on. A list that ends before the place
/// that was read is another one: it is read from its beginning.
pub fn settle<T: BusTx>(tx: &mut T, listed: &Listed, turn: &mut Turn<'_>) -> Result<(), Fault> {
    let before = tx.settled_up_to()?;
    if listed.up_to < before && listed.after < before {
        tell(tx, "settlement_reset", "", turn)?;
        return tx.put_settled_up_to(0);
    }
    for movement in &listed.movements {
        let reference = movement.reference.as_str();
        if !is_money(reference, movement.amount, &movement.currency) {
            tell(tx, "movement_unknown", reference, turn)?;
            continue;
        }
        let told = turn.told.len();
        match tx.piece(&mut |tx| moved(tx, movement, true, turn)) {
            Ok(()) => {}
            Err(Failure::Storage(fault)) => return Err(fault),
            Err(Failure::Never(problem) | Failure::Later(problem)) => {
                turn.told.truncate(told);
                turn.troubles.push(format!("{reference} does not fit the books: {}", problem.detail));
                tell(tx, "movement_unknown", reference, turn)?;
            }
        }
    }
    for reference in &listed.strange {
        tell(tx, "movement_unknown", reference, turn)?;
    }
    tx.put_settled_up_to(before.max(listed.up_to))
}

/// Tells a person, once for each reference as long as the list shows it anew.
fn tell<T: BusTx>(tx: &mut T, word: &str, reference: &str, turn: &mut Turn<'_>) -> Result<(), Fault> {
    let once = word != "settlement_reset";
    if once && !tx.put_told(&format!("{word} {reference}"))? {
        return Ok(());
    }
    let members = vec![("reference", shown(reference))];
    match tx.piece(&mut |tx| alert(tx, word, None, None, members.clone(), turn)) {
        Err(Failure::Storage(fault)) => Err(fault),
        Err(Failure::Never(problem) | Failure::Later(problem)) => {
            turn.troubles.push(format!("{word} could not be told: {}", problem.detail));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}
