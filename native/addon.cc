// Registration only: every operation lives with its family.
#include "autograd/autograd.h"
#include "cam/cam_binding.h"
#include "cuda_graph.h"
#include "distributed/distributed_binding.h"
#include "images/normalize.h"
#include "mapped_file.h"
#include "nn/wetr_binding.h"
#include "optim/adamw.h"
#include "profile/device_recorder.h"
#include "profile/op_recorder.h"
#include "system.h"
#include "tensor/registration.h"
#include "tensor/transfer.h"

namespace {

Napi::Object initialise(Napi::Env env, Napi::Object exports) {
  afa::tuneProcess();
  env.SetInstanceData(new afa::AddonData());
  afa::Exports m(env, exports);
  afa::registerSystem(m);
  afa::registerCreation(m);
  afa::registerTransfer(m);
  afa::registerCudaGraph(m);
  afa::registerPointwise(m);
  afa::registerReduction(m);
  afa::registerShape(m);
  afa::registerLinear(m);
  afa::registerImage(m);
  afa::registerNormalization(m);
  afa::registerAutograd(m);
  afa::registerWeTr(m);
  afa::registerCam(m);
  afa::registerOptim(m);
  afa::registerDistributed(m);
  afa::registerProfile(m);
  afa::registerDeviceRecorder(m);
  afa::registerMappedFile(m);
  return exports;
}

}  // namespace

NODE_API_MODULE(medical_afa, initialise)
