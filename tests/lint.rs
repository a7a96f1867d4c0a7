//! What WebGPU leaves open, and our shaders therefore do not do: a lint over naga's form of a program. Each rule has a
//! small program that breaks it.

use std::collections::{BTreeSet, HashSet};

use naga::valid::{Capabilities, FunctionInfo, ModuleInfo, ShaderStages};
use naga::valid::{SubgroupOperationSet, ValidationFlags, Validator};
use naga::{AddressSpace, Binding, Block, BuiltIn, Expression, Function, Handle, LocalVariable};
use naga::{Module, Span, Statement, TypeInner};

use crate::support::trials;

trials! {
    cpu: [
        private_memory_is_indexed_by_constants,
        barriers_are_for_all_threads,
        what_is_the_same_for_all_threads_may_decide,
    ],
}

/// The program, checked by naga, and what each of its expressions is; or what naga finds wrong.
pub fn parse(source: &str) -> Result<(Module, ModuleInfo), String> {
    let module = naga::front::wgsl::parse_str(source).map_err(|e| e.emit_to_string(source))?;
    let mut validator =
        Validator::new(ValidationFlags::all(), Capabilities::SHADER_FLOAT16 | Capabilities::SUBGROUP);
    validator.subgroup_stages(ShaderStages::COMPUTE).subgroup_operations(SubgroupOperationSet::all());
    let info = validator.validate(&module).map_err(|e| e.emit_to_string(source))?;
    Ok((module, info))
}

/// The lines of `source` that break a rule, each with the rule.
pub fn broken(source: &str, module: &Module, info: &ModuleInfo) -> BTreeSet<String> {
    let line = |(span, rule): (Span, &str)| {
        let number = span.location(source).line_number as usize;
        format!("{rule}: {}", source.lines().nth(number.saturating_sub(1)).unwrap_or_default().trim())
    };
    let mut needy = HashSet::new();
    let mut found = Vec::new();
    // A function is declared before those that call it.
    for (handle, function) in module.functions.iter() {
        found.extend(indexed(function, &info[handle], module));
        let Flow { needs_all, found: diverged, .. } = Flow::new(module, function, &needy);
        if needs_all {
            needy.insert(handle);
        }
        found.extend(diverged);
    }
    for (index, entry) in module.entry_points.iter().enumerate() {
        found.extend(indexed(&entry.function, info.get_entry_point(index), module));
        found.extend(Flow::new(module, &entry.function, &needy).found);
    }
    found.into_iter().map(line).collect()
}

/// An index that is no constant: what lies beyond the end is left open, and what is indexed so does not stay in registers.
/// (naga refuses constants beyond the end.)
const INDEXED: &str = "private memory is indexed by a variable";
const DIVERGED: &str = "only some threads may come to a barrier";

fn indexed<'a>(
    function: &'a Function,
    info: &'a FunctionInfo,
    module: &'a Module,
) -> impl Iterator<Item = (Span, &'static str)> + 'a {
    let private = |base: &Handle<Expression>| match *info[*base].ty.inner_with(&module.types) {
        TypeInner::Pointer { space, .. } | TypeInner::ValuePointer { space, .. } => {
            matches!(space, AddressSpace::Function | AddressSpace::Private)
        }
        // A value that is not in memory.
        _ => true,
    };
    function.expressions.iter().filter_map(move |(handle, expression)| match expression {
        Expression::Access { base, .. } if private(base) => {
            Some((function.expressions.get_span(handle), INDEXED))
        }
        _ => None,
    })
}

/// Which threads come where in a function: WGSL's analysis of uniformity, made simple by its caution. What is stored is
/// the same for all threads if all come there and each stores the same.
struct Flow<'a> {
    module: &'a Module,
    function: &'a Function,
    /// Functions that all threads of a workgroup must call.
    needy: &'a HashSet<Handle<Function>>,
    /// Variables in which threads may have different values.
    different: HashSet<Handle<LocalVariable>>,
    /// Whether this is such a function.
    needs_all: bool,
    found: Vec<(Span, &'static str)>,
}

/// How only some of the threads may have left a block.
#[derive(Default, Clone, Copy)]
struct Exits {
    /// To the end of the loop, or of its body.
    turned: bool,
    returned: bool,
}

impl Exits {
    fn any(self) -> bool {
        self.turned || self.returned
    }

    fn and(self, other: Self) -> Self {
        Self { turned: self.turned || other.turned, returned: self.returned || other.returned }
    }
}

impl<'a> Flow<'a> {
    fn new(module: &'a Module, function: &'a Function, needy: &'a HashSet<Handle<Function>>) -> Self {
        let (different, found) = (HashSet::new(), Vec::new());
        let mut flow = Self { module, function, needy, different, needs_all: false, found };
        // Each variable that turns out to differ may make others differ.
        loop {
            let before = flow.different.len();
            flow.found.clear();
            flow.block(&function.body, true);
            if flow.different.len() == before {
                return flow;
            }
        }
    }

    /// Walks along a block to which all threads come, or not all.
    fn block(&mut self, block: &Block, all: bool) -> Exits {
        let mut exits = Exits::default();
        for (statement, span) in block.span_iter() {
            let all = all && !exits.any();
            exits = exits.and(self.statement(statement, *span, all));
        }
        exits
    }

    fn statement(&mut self, statement: &Statement, span: Span, all: bool) -> Exits {
        match statement {
            Statement::Block(inner) => return self.block(inner, all),
            Statement::If { condition, accept, reject } => {
                let all = all && self.same(*condition);
                return self.block(accept, all).and(self.block(reject, all));
            }
            Statement::Switch { selector, cases } => {
                let all = all && self.same(*selector);
                return cases
                    .iter()
                    .fold(Exits::default(), |exits, case| exits.and(self.block(&case.body, all)));
            }
            Statement::Loop { body, continuing, break_if } => {
                let mut around = |all: bool| {
                    let exits = self.block(body, all).and(self.block(continuing, all));
                    let leaves = break_if.is_some_and(|condition| !(all && self.same(condition)));
                    exits.and(Exits { turned: leaves, returned: false })
                };
                let mut exits = around(all);
                if all && exits.any() {
                    exits = around(false);
                }
                return Exits { turned: false, ..exits };
            }
            Statement::Break | Statement::Continue => return Exits { turned: !all, returned: false },
            Statement::Return { .. } => return Exits { turned: false, returned: !all },
            Statement::Store { pointer, value } if !(all && self.same(*value) && self.same(*pointer)) => {
                self.differs(*pointer);
            }
            Statement::Call { function, arguments, .. } => {
                for argument in arguments {
                    self.differs(*argument);
                }
                if self.needy.contains(function) {
                    self.barrier(span, all);
                }
            }
            Statement::ControlBarrier(_)
            | Statement::MemoryBarrier(_)
            | Statement::WorkGroupUniformLoad { .. }
            | Statement::SubgroupBallot { .. }
            | Statement::SubgroupGather { .. }
            | Statement::SubgroupCollectiveOperation { .. } => self.barrier(span, all),
            _ => {}
        }
        Exits::default()
    }

    fn barrier(&mut self, span: Span, all: bool) {
        self.needs_all = true;
        if !all {
            self.found.push((span, DIVERGED));
        }
    }

    /// From now on the variable that `pointer` leads to, if it does, differs.
    fn differs(&mut self, pointer: Handle<Expression>) {
        match self.function.expressions[pointer] {
            Expression::LocalVariable(variable) => {
                self.different.insert(variable);
            }
            Expression::Access { base, .. } | Expression::AccessIndex { base, .. } => self.differs(base),
            _ => {}
        }
    }

    /// Whether an expression has the same value in all threads of a workgroup.
    fn same(&self, expression: Handle<Expression>) -> bool {
        let same = |expression: &Handle<Expression>| self.same(*expression);
        match &self.function.expressions[expression] {
            Expression::Literal(_)
            | Expression::Constant(_)
            | Expression::Override(_)
            | Expression::ZeroValue(_) => true,
            Expression::LocalVariable(variable) => !self.different.contains(variable),
            Expression::GlobalVariable(variable) => {
                self.module.global_variables[*variable].space == AddressSpace::Uniform
            }
            Expression::FunctionArgument(index) => {
                let binding = &self.function.arguments[*index as usize].binding;
                matches!(binding, Some(Binding::BuiltIn(BuiltIn::WorkGroupId | BuiltIn::NumWorkGroups)))
            }
            Expression::Load { pointer: inner }
            | Expression::AccessIndex { base: inner, .. }
            | Expression::Splat { value: inner, .. }
            | Expression::Swizzle { vector: inner, .. }
            | Expression::Unary { expr: inner, .. }
            | Expression::Relational { argument: inner, .. }
            | Expression::As { expr: inner, .. } => same(inner),
            Expression::Access { base, index } => same(base) && same(index),
            Expression::Binary { left, right, .. } => same(left) && same(right),
            Expression::Select { condition, accept, reject } => {
                [condition, accept, reject].into_iter().all(same)
            }
            Expression::Compose { components, .. } => components.iter().all(same),
            Expression::Math { arg, arg1, arg2, arg3, .. } => {
                same(arg) && [arg1, arg2, arg3].into_iter().flatten().all(same)
            }
            _ => false,
        }
    }
}

/// What a small program breaks.
fn of(declarations: &str, body: &str) -> Vec<String> {
    let source = format!(
        "struct Params {{ n: u32 }}
        @group(0) @binding(0) var<storage, read_write> x: array<u32>;
        @group(0) @binding(1) var<uniform> params: Params;
        var<workgroup> row: array<u32, 64>;
        {declarations}
        @compute @workgroup_size(64)
        fn main(@builtin(workgroup_id) group: vec3u, @builtin(local_invocation_index) thread: u32) {{
            {body}
        }}"
    );
    match parse(&source) {
        Ok((module, info)) => broken(&source, &module, &info).into_iter().collect(),
        Err(fault) => vec![fault],
    }
}

fn private_memory_is_indexed_by_constants() {
    let line = |line: &str| vec![format!("{INDEXED}: {line}")];
    let local = "var a = array(1u, 2u);";
    assert_eq!(of("", &format!("{local}\nx[0] = a[thread % 2];")), line("x[0] = a[thread % 2];"));
    assert_eq!(of("", &format!("{local}\na[params.n] = 1;")), line("a[params.n] = 1;"));
    assert_eq!(of("var<private> a: array<u32, 2>;", "x[0] = a[params.n];"), line("x[0] = a[params.n];"));
    assert_eq!(of("", "let v = vec2u(thread);\nx[0] = v[params.n];"), line("x[0] = v[params.n];"));
    let argument = "fn f(a: array<u32, 2>, i: u32) -> u32 {\nreturn a[i];\n}";
    assert_eq!(of(argument, "x[0] = f(array(1u, 2u), thread);"), line("return a[i];"));
    assert_eq!(of("", &format!("{local} x[thread] = a[2 - 1] + row[thread];")), [""; 0]);
    let beyond = of("", "var a = array(1u, 2u); x[0] = a[2];");
    assert!(beyond.len() == 1 && beyond[0].contains("Accessing index 2 is out of"), "{beyond:?}");
}

fn barriers_are_for_all_threads() {
    let sync = "fn sync() { workgroupBarrier(); }";
    for (declarations, body, line) in [
        ("", "if thread < 3 {\nworkgroupBarrier();\n}", "workgroupBarrier();"),
        ("", "if x[0] < 3 {\nstorageBarrier();\n}", "storageBarrier();"),
        ("", "if row[0] < 3 {\nworkgroupBarrier();\n}", "workgroupBarrier();"),
        ("", "if thread < 3 { return; }\nworkgroupBarrier();", "workgroupBarrier();"),
        ("", "switch thread {\ncase 1: {\nworkgroupBarrier();\n}\ndefault: {}\n}", "workgroupBarrier();"),
        ("", "for (var i = thread; i < params.n; i++) {\nworkgroupBarrier();\n}", "workgroupBarrier();"),
        (
            "",
            "for (var i = 0u; i < params.n; i++) {\nworkgroupBarrier();\nif x[i] == 0 { break; }\n}",
            "workgroupBarrier();",
        ),
        (
            "",
            "var n = 1u; if thread == 0 { n = 2; }\nfor (var i = 0u; i < n; i++) {\nworkgroupBarrier();\n}",
            "workgroupBarrier();",
        ),
        (sync, "if thread < 3 {\nsync();\n}", "sync();"),
        ("", "if thread < 3 {\nx[0] = subgroupAdd(thread);\n}", "x[0] = subgroupAdd(thread);"),
    ] {
        assert_eq!(of(declarations, body), [format!("{DIVERGED}: {line}")], "{body}");
    }
}

fn what_is_the_same_for_all_threads_may_decide() {
    for body in [
        "if group.x >= params.n { return; } workgroupBarrier();",
        "for (var i = 0u; i < params.n; i += 64) { row[thread] = x[i + thread]; workgroupBarrier(); }",
        "for (var i = thread; i < params.n; i++) { if x[i] == 0 { break; } } workgroupBarrier();",
        "if thread == 0 { x[0] = 1; } workgroupBarrier();",
        "let n = min(params.n, 3); var i = 0u; loop { workgroupBarrier(); i++; if i >= n { break; } }",
    ] {
        assert_eq!(of("", body), [""; 0], "{body}");
    }
}
