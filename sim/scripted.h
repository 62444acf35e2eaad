// Scripted: a script of client requests, one after the other, on an undisturbed cluster.
//
// Purpose: the simulator's half of C02. The same script runs against real daemons
// (tests/proc/test_same_transcript.py); what the client saw, what the controller committed and what
// every log holds must be equal. Logs are compared by the very tool that operators have: the disks
// are written out as directories of files, as a pool holds them.
// Script: a line a request, `#` begins a comment:
//   write LBA BLOCKS [fua] | zero LBA BLOCKS [fua] | discard LBA BLOCKS | read LBA BLOCKS | flush
// Life cycle: script_main() is a whole process. Errors: exit status 2 for usage, 31 when something
// was answered wrongly, 32 when something was not answered.
#pragma once

namespace seawall::sim {

// seawall-sim script FILE DIRECTORY: prints `C|` and `E|` lines, leaves DIRECTORY/n<node>/.
int script_main(int argc, char** argv);

}  // namespace seawall::sim
