#!/usr/bin/perl
# Appends numbered records to DATA/records, each on disk before it is acknowledged in OUT/acks, which lies outside the volume.
#   writer.pl DATA OUT
# Lines of OUT/acks (moments are nanoseconds of the machine's boot clock, the same in every container):
#   open RUN NODE MOMENT | ack NUMBER NONCE BEGUN DONE RUN | close RUN MOMENT
use strict;
use warnings;
use IO::Handle;
use POSIX ();

my ($data, $out) = @ARGV;
my $clock = (POSIX::uname())[4] eq 'aarch64' ? 113 : 228;
sub moment { my $at = "\0" x 16; syscall($clock, 7, $at); my ($s, $ns) = unpack('qq', $at); return $s * 1_000_000_000 + $ns; }
sub nonce { return sprintf('%08x', int(rand(4294967296))); }

my $stop = 0;
$SIG{TERM} = $SIG{INT} = sub { $stop = 1; };
srand(moment() ^ $$);

open(my $acks, '>>', "$out/acks") or die "cannot open $out/acks: $!";
sub tell_outside { syswrite($acks, "$_[0]\n") or die "cannot write $out/acks: $!"; }

open(my $ballast, -e "$data/ballast" ? '+<' : '+>', "$data/ballast") or die "cannot open $data/ballast: $!";
open(my $records, '+>>', "$data/records") or die "cannot open $data/records: $!";
my $run = ($ENV{MESOS_TASK_ID} // 'task') . '-' . moment();
tell_outside("open $run " . ($ENV{HOST} // '?') . ' ' . moment());

# What a crash left of a line was never acknowledged.
my $length = -s $records;
my ($tail, $from) = ('', $length > 4096 ? $length - 4096 : 0);
seek($records, $from, 0);
sysseek($records, $from, 0);
sysread($records, $tail, 8192);
my $whole = rindex($tail, "\n") + 1;
$length = $from + $whole;
truncate($records, $length) or die "cannot truncate $data/records: $!" if $whole < length($tail);
my ($number) = substr($tail, 0, $whole) =~ /(?:^|\n)(\d+) \w+\n$/;
$number //= 0;

sub scribble { # MEBIBYTES at random places
  for (1 .. $_[0]) {
    sysseek($ballast, int(rand(12)) * 1048576, 0);
    my $block = pack('N', int(rand(4294967296))) x 16384;
    for my $i (0 .. 15) { syswrite($ballast, pack('N', rand(4294967296)) . substr($block, 4)) or return; }
  }
}

until ($stop) {
  my ($nonce, $begun) = (nonce(), moment());
  my $line = ($number + 1) . " $nonce\n";
  my $written = syswrite($records, $line);
  if (defined $written && $written == length($line) && $records->sync) {
    $number++;
    $length += length($line);
    tell_outside("ack $number $nonce $begun " . moment() . " $run");
  } else {
    # The disk is full, say: nothing was promised, the same number is tried again.
    print STDERR "record $number not written: $!\n";
    truncate($records, $length) or die "cannot truncate $data/records: $!";
    select(undef, undef, undef, 0.1);
  }
  select(undef, undef, undef, 0.012);
}
# As a database does at its end: a last checkpoint.
scribble(4);
$ballast->sync;
close($records);
tell_outside("close $run " . moment());
