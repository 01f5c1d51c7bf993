//! What `ForkedProcess` promises.

mod support;

use breezeway::Channel;
use breezeway::process::{ForkedProcess, Outcome};
use breezeway::testing::FdLedger;

trials!(a_child_answers);

fn a_child_answers() {
    let _ledger = FdLedger::open().unwrap();
    let child = ForkedProcess::spawn(|channel: Channel<usize, String>| {
        for line in &channel {
            channel.send(line?.len())?;
        }
        Ok::<(), std::io::Error>(())
    })
    .unwrap();
    child.send("four".into()).unwrap();
    assert_eq!(child.recv().unwrap(), 4);
    assert_eq!(child.wait().unwrap(), Outcome::Exited(0));
}
