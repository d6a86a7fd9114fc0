// How the processes of one training find each other: c10d's TCPStore on rank 0, and who is missing when they do not.
#pragma once
#include <torch/csrc/distributed/c10d/Store.hpp>

#include <chrono>
#include <string>
#include <vector>

namespace afa::distributed {

struct StoreAddress {
  std::string host;
  int port;
  bool isServer;       // true on the one process that holds the store
  std::string prefix;  // of all keys, where others use the store as well
};

// What each process tells of itself when it comes.
struct Peer {
  std::string address, host;
  int process;
  bool holdsStore;
};

struct Rendezvous {
  c10::intrusive_ptr<c10d::Store> store;
  std::vector<Peer> peers;  // by rank
  // The address of this machine under which its peers reach it.
  std::string localAddress;
};

// Blocks until every rank has come. Throws a DistError that names the ranks that have not, two processes that claim
// one rank, or a process that counts another number of processes.
Rendezvous meet(const StoreAddress& address, int rank, int size, std::chrono::milliseconds timeout);

}  // namespace afa::distributed
