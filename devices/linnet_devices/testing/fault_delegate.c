/* A TensorFlow Lite external delegate that stands in for an accelerator, and fails as it is told to.

   It claims operations as an accelerator's delegate does and has the interpreter's own kernels compute them, so that
   the logits of one that is well are the CPU's. A custom operation has no kernel: its k-th of n output bytes is the
   mean of every n-th input byte from the k-th on.

   Nothing of TensorFlow Lite is linked or included. The structs below begin as those of tflite/c/common.h do, to which
   versions only append; one binary serves ai-edge-litert and tflite-runtime.

   Options, from the delegate's strings or else from the environment's LINNET_FAULT="key=value&key=value":
     ops     what it claims: "all", or names joined by "+", builtin ones and custom ones: CONV_2D+ADD
     fault   absent, create, prepare, invoke, hang, abort, slow or garbage
     after   so many invocations go well first
     ms      how long "slow" takes
     while   a file: the fault lasts for as long as it exists
     device  ignored; libedgetpu takes it
*/
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef DEFAULT_OPS
#define DEFAULT_OPS "all"
#endif
#define EXPORT __attribute__((visibility("default")))

/* By this name the device knows that no accelerator is behind the library. */
EXPORT const int linnet_stand_in = 1;

/* What TensorFlow Lite hands over */

typedef enum { OK, FAILED } Status;

typedef struct {
  int size;
  int data[];
} IntArray;

typedef struct {
  int type;
  void* data;
  IntArray* dims;
  float scale;
  int32_t zero_point;
  int allocation_type;
  size_t bytes;
  const void* allocation;
  const char* name;
  void* delegate;
  int buffer_handle;
  bool data_is_stale, is_variable;
  int quantization;
  void* quantization_params;
  void* sparsity;
  const IntArray* dims_signature;
} Tensor;

typedef struct {
  IntArray *inputs, *outputs, *intermediates, *temporaries;
  void *user_data, *builtin_data;
  const void* custom_data;
  int custom_data_bytes;
  void* delegate;
  bool might_have_side_effect;
} Node;

typedef struct Context Context;

typedef struct {
  void* (*init)(Context*, const char* buffer, size_t bytes);
  void (*free)(Context*, void* user_data);
  Status (*prepare)(Context*, Node*);
  Status (*invoke)(Context*, Node*);
  const char* (*profiling_string)(const Context*, const Node*);
  int32_t builtin_code;
  const char* custom_name;
  int version;
  void* appended[16]; /* by newer versions; an older one reads less */
} Registration;

typedef struct Delegate {
  void* data;
  Status (*prepare)(Context*, struct Delegate*);
  void* buffer_functions[3];
  int64_t flags;
  void* appended[8];
} Delegate;

struct Context {
  size_t tensors_size;
  Status (*get_execution_plan)(Context*, IntArray** plan);
  Tensor* tensors;
  void* impl;
  Status (*resize_tensor)(Context*, Tensor*, IntArray*);
  void (*report_error)(Context*, const char* format, ...);
  Status (*add_tensors)(Context*, int, int*);
  Status (*get_node)(Context*, int index, Node**, Registration**);
  Status (*replace_nodes)(Context*, Registration, const IntArray* nodes, Delegate*);
};

typedef struct {
  Delegate* delegate;
  IntArray *nodes, *inputs, *outputs;
} DelegateParams;

enum { ALLOW_DYNAMIC_TENSORS = 1, CUSTOM = 32 };

static const struct {
  const char* name;
  int code;
} BUILTINS[] = {
    {"ADD", 0},       {"AVERAGE_POOL_2D", 1},  {"CONV_2D", 3},      {"DEPTHWISE_CONV_2D", 4}, {"DEQUANTIZE", 6},
    {"MUL", 18},      {"FULLY_CONNECTED", 9},  {"MAX_POOL_2D", 17}, {"RESHAPE", 22},          {"SOFTMAX", 25},
    {"PAD", 34},      {"MEAN", 40},            {"CAST", 53},        {"QUANTIZE", 114},        {"HARD_SWISH", 117},
};

/* Options */

#define TEXT 1024

typedef struct {
  char ops[TEXT], fault[TEXT], while_file[TEXT];
  long after, ms;
} Options;

static const char FAULTS[] = "|absent|create|prepare|invoke|hang|abort|slow|garbage|";

static bool set_option(Options* options, const char* key, const char* value) {
  if (!strcmp(key, "ops")) snprintf(options->ops, TEXT, "%s", value);
  else if (!strcmp(key, "while")) snprintf(options->while_file, TEXT, "%s", value);
  else if (!strcmp(key, "after")) options->after = atol(value);
  else if (!strcmp(key, "ms")) options->ms = atol(value);
  else if (!strcmp(key, "fault")) {
    char listed[TEXT];
    snprintf(listed, TEXT, "|%s|", value);
    snprintf(options->fault, TEXT, "%s", value);
    return strstr(FAULTS, listed) != NULL;
  } else return !strcmp(key, "device");
  return true;
}

static bool set_options_of_environment(Options* options) {
  char copy[TEXT];
  const char* environment = getenv("LINNET_FAULT");
  snprintf(copy, TEXT, "%s", environment ? environment : "");
  bool known = true;
  for (char* pair = strtok(copy, "&"); pair; pair = strtok(NULL, "&")) {
    char* value = strchr(pair, '=');
    if (value) *value++ = '\0';
    known &= value && set_option(options, pair, value);
  }
  return known;
}

static bool is_due(const Options* options, const char* fault) {
  bool lasts = !*options->while_file || !access(options->while_file, F_OK);
  return lasts && !strcmp(options->fault, fault);
}

static bool claims(const Options* options, const Registration* op) {
  if (!strcmp(options->ops, "all")) return true;
  char copy[TEXT], *rest;
  snprintf(copy, TEXT, "%s", options->ops);
  for (char* name = strtok_r(copy, "+", &rest); name; name = strtok_r(NULL, "+", &rest)) {
    if (op->builtin_code == CUSTOM && op->custom_name && !strcmp(name, op->custom_name)) return true;
    for (size_t i = 0; i < sizeof BUILTINS / sizeof *BUILTINS; i++)
      if (op->builtin_code == BUILTINS[i].code && !strcmp(name, BUILTINS[i].name)) return true;
  }
  return false;
}

/* The kernel that takes the place of some neighbouring operations */

typedef struct {
  Node node; /* a copy: the interpreter moves its own when it adds one */
  Status (*prepare)(Context*, Node*);
  Status (*invoke)(Context*, Node*); /* NULL for a custom operation */
} Operation;

typedef struct {
  const Options* options;
  long invocations;
  int size;
  Operation operations[];
} Kernel;

static IntArray* new_int_array(int size) {
  IntArray* array = malloc(sizeof(IntArray) + sizeof(int) * (size_t)size);
  array->size = size;
  return array;
}

static bool contains(const IntArray* array, int value) {
  for (int i = 0; i < array->size; i++)
    if (array->data[i] == value) return true;
  return false;
}

static void* kernel_init(Context* context, const char* buffer, size_t bytes) {
  (void)bytes;
  const DelegateParams* params = (const DelegateParams*)buffer;
  int size = params->nodes->size;
  Kernel* kernel = calloc(1, sizeof(Kernel) + sizeof(Operation) * (size_t)size);
  kernel->options = params->delegate->data;
  kernel->size = size;
  for (int i = 0; i < size; i++) {
    Operation* operation = &kernel->operations[i];
    Node* node;
    Registration* registration;
    context->get_node(context, params->nodes->data[i], &node, &registration);
    operation->node = *node;
    operation->node.temporaries = new_int_array(node->temporaries ? node->temporaries->size : 0);
    for (int j = 0; j < operation->node.temporaries->size; j++)
      operation->node.temporaries->data[j] = node->temporaries->data[j];
    if (registration->builtin_code != CUSTOM) {
      operation->prepare = registration->prepare;
      operation->invoke = registration->invoke;
    }
  }
  return kernel;
}

static void kernel_free(Context* context, void* user_data) {
  (void)context;
  Kernel* kernel = user_data;
  for (int i = 0; i < kernel->size; i++) free(kernel->operations[i].node.temporaries);
  free(kernel);
}

static Status kernel_prepare(Context* context, Node* node) {
  Kernel* kernel = node->user_data;
  if (is_due(kernel->options, "prepare")) {
    context->report_error(context, "simulated: the delegate cannot prepare its operations. ");
    return FAILED;
  }
  int most = 0;
  for (int i = 0; i < kernel->size; i++) {
    Operation* operation = &kernel->operations[i];
    if (operation->prepare && operation->prepare(context, &operation->node) != OK) return FAILED;
    most += operation->node.temporaries->size + operation->node.outputs->size;
  }
  /* The interpreter gives memory to what it knows of: to it, what passes between our operations is our temporaries. */
  free(node->temporaries);
  node->temporaries = new_int_array(most);
  int n = 0;
  for (int i = 0; i < kernel->size; i++) {
    const Node* part = &kernel->operations[i].node;
    for (int j = 0; j < part->temporaries->size; j++) node->temporaries->data[n++] = part->temporaries->data[j];
    for (int j = 0; j < part->outputs->size; j++)
      if (!contains(node->outputs, part->outputs->data[j])) node->temporaries->data[n++] = part->outputs->data[j];
  }
  node->temporaries->size = n;
  return OK;
}

static void run_custom_operation(Context* context, const Node* node) {
  const Tensor* input = &context->tensors[node->inputs->data[0]];
  const Tensor* output = &context->tensors[node->outputs->data[0]];
  for (size_t k = 0; k < output->bytes; k++) {
    size_t sum = 0, n = 0;
    for (size_t i = k; i < input->bytes; i += output->bytes, n++) sum += ((const uint8_t*)input->data)[i];
    ((uint8_t*)output->data)[k] = (uint8_t)(n ? sum / n : 0);
  }
}

static Status kernel_invoke(Context* context, Node* node) {
  Kernel* kernel = node->user_data;
  const Options* options = kernel->options;
  bool after = kernel->invocations++ >= options->after;
  if (after && is_due(options, "invoke")) {
    context->report_error(context, "simulated: the accelerator does not answer. ");
    return FAILED;
  }
  if (after && is_due(options, "abort")) abort();
  while (after && is_due(options, "hang")) usleep(10000);
  if (after && is_due(options, "slow")) usleep((useconds_t)options->ms * 1000);
  for (int i = 0; i < kernel->size; i++) {
    Operation* operation = &kernel->operations[i];
    if (!operation->invoke) run_custom_operation(context, &operation->node);
    else if (operation->invoke(context, &operation->node) != OK) return FAILED;
  }
  for (int i = 0; after && is_due(options, "garbage") && i < node->outputs->size; i++) {
    const Tensor* output = &context->tensors[node->outputs->data[i]];
    for (size_t j = 0; j < output->bytes; j++) ((uint8_t*)output->data)[j] ^= 0xff;
  }
  return OK;
}

/* The delegate */

static Status delegate_prepare(Context* context, Delegate* delegate) {
  IntArray* plan;
  if (context->get_execution_plan(context, &plan) != OK) return FAILED;
  IntArray* claimed = new_int_array(plan->size);
  claimed->size = 0;
  for (int i = 0; i < plan->size; i++) {
    Node* node;
    Registration* registration;
    if (context->get_node(context, plan->data[i], &node, &registration) != OK) return FAILED;
    if (claims(delegate->data, registration)) claimed->data[claimed->size++] = plan->data[i];
  }
  Registration kernel = {.init = kernel_init,
                         .free = kernel_free,
                         .prepare = kernel_prepare,
                         .invoke = kernel_invoke,
                         .custom_name = "LinnetFaultDelegate",
                         .version = 1};
  Status status = context->replace_nodes(context, kernel, claimed, delegate);
  free(claimed);
  return status;
}

EXPORT void* tflite_plugin_create_delegate(char** keys, char** values, size_t n, void (*report)(const char*)) {
  Options* options = calloc(1, sizeof(Options));
  snprintf(options->ops, TEXT, "%s", DEFAULT_OPS);
  options->ms = 1000;
  bool known = set_options_of_environment(options);
  for (size_t i = 0; i < n; i++) known &= set_option(options, keys[i], values[i]);
  bool fails = is_due(options, "create");
  if (!known || fails || is_due(options, "absent")) {
    if (!known) report("an option that the fault delegate does not know");
    else if (fails) report("simulated: the delegate cannot be created");
    free(options);
    return NULL;
  }
  Delegate* delegate = calloc(1, sizeof(Delegate));
  delegate->data = options;
  delegate->prepare = delegate_prepare;
  delegate->flags = ALLOW_DYNAMIC_TENSORS; /* or the CPU would first prepare the custom operations that it lacks */
  return delegate;
}

EXPORT void tflite_plugin_destroy_delegate(void* plugin) {
  Delegate* delegate = plugin;
  if (delegate) free(delegate->data); /* Python destroys what was never created, too */
  free(delegate);
}

/* The part of libedgetpu's edgetpu_c.h that says which accelerators are plugged in: here, one on USB. */

enum { EDGETPU_USB = 1 };

typedef struct {
  int type;
  const char* path;
} EdgeTpu;

EXPORT EdgeTpu* edgetpu_list_devices(size_t* n) {
  static EdgeTpu simulated = {EDGETPU_USB, "simulated"};
  Options options = {0};
  set_options_of_environment(&options);
  *n = is_due(&options, "absent") ? 0 : 1;
  return *n ? &simulated : NULL;
}

EXPORT void edgetpu_free_devices(EdgeTpu* devices) { (void)devices; }
