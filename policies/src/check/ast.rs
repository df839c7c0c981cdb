//! The syntax tree of a module as regorus writes it out, and one walk over it. Only the gate reads it.

use serde::Deserialize;
use serde_json::Value;

/// Where a node stands, in bytes from the start of its module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub(crate) struct Span {
    pub start: usize,
    pub end: usize,
}

#[derive(Debug, Deserialize)]
#[expect(clippy::enum_variant_names, reason = "the names are those regorus writes")]
pub(crate) enum Expr {
    String { span: Span, value: String },
    RawString { span: Span, value: String },
    Number { span: Span },
    Bool { span: Span, value: bool },
    Null { span: Span },
    Var { span: Span, value: String },
    Array { span: Span, items: Vec<Self> },
    Set { span: Span, items: Vec<Self> },
    Object { span: Span, fields: Vec<(Span, Self, Self)> },
    ArrayCompr { span: Span, term: Box<Self>, query: Query },
    SetCompr { span: Span, term: Box<Self>, query: Query },
    ObjectCompr { span: Span, key: Box<Self>, value: Box<Self>, query: Query },
    Call { span: Span, fcn: Box<Self>, params: Vec<Self> },
    UnaryExpr { span: Span, expr: Box<Self> },
    RefDot { span: Span, refr: Box<Self>, field: (Span, Value) },
    RefBrack { span: Span, refr: Box<Self>, index: Box<Self> },
    BinExpr { span: Span, lhs: Box<Self>, rhs: Box<Self> },
    BoolExpr { span: Span, op: String, lhs: Box<Self>, rhs: Box<Self> },
    ArithExpr { span: Span, op: String, lhs: Box<Self>, rhs: Box<Self> },
    AssignExpr { span: Span, op: String, lhs: Box<Self>, rhs: Box<Self> },
    Membership { span: Span, key: Option<Box<Self>>, value: Box<Self>, collection: Box<Self> },
}

#[derive(Debug, Deserialize)]
pub(crate) struct Query {
    pub stmts: Vec<Statement>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Statement {
    pub literal: Literal,
    #[serde(default)]
    pub with_mods: Vec<With>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct With {
    pub refr: Expr,
    #[serde(rename = "as")]
    pub value: Expr,
}

#[derive(Debug, Deserialize)]
pub(crate) enum Literal {
    SomeVars { vars: Vec<Span> },
    SomeIn { key: Option<Expr>, value: Expr, collection: Expr },
    Expr { expr: Expr },
    NotExpr { expr: Expr },
    Every { key: Option<Span>, value: Span, domain: Expr, query: Query },
}

#[derive(Debug, Deserialize)]
pub(crate) struct Assign {
    pub value: Expr,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Body {
    pub span: Span,
    pub assign: Option<Assign>,
    pub is_else: bool,
    pub query: Query,
}

#[derive(Debug, Deserialize)]
pub(crate) enum Head {
    Compr { refr: Expr, assign: Option<Assign> },
    Set { refr: Expr, key: Option<Expr> },
    Func { refr: Expr, args: Vec<Expr>, assign: Option<Assign> },
}

#[derive(Debug, Deserialize)]
pub(crate) enum Definition {
    Spec { span: Span, head: Head, bodies: Vec<Body> },
    Default { span: Span, refr: Expr, args: Vec<Expr>, value: Expr },
}

#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub refr: Expr,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Import {
    pub refr: Expr,
    #[serde(rename = "as")]
    pub alias: Option<Span>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Tree {
    pub package: Package,
    pub imports: Vec<Import>,
    pub rules: Vec<Definition>,
}

/// What a walk comes by.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Node<'a> {
    Expr(&'a Expr),
    Literal(&'a Literal),
}

impl Expr {
    pub fn span(&self) -> Span {
        match self {
            Self::String { span, .. }
            | Self::RawString { span, .. }
            | Self::Number { span }
            | Self::Bool { span, .. }
            | Self::Null { span }
            | Self::Var { span, .. }
            | Self::Array { span, .. }
            | Self::Set { span, .. }
            | Self::Object { span, .. }
            | Self::ArrayCompr { span, .. }
            | Self::SetCompr { span, .. }
            | Self::ObjectCompr { span, .. }
            | Self::Call { span, .. }
            | Self::UnaryExpr { span, .. }
            | Self::RefDot { span, .. }
            | Self::RefBrack { span, .. }
            | Self::BinExpr { span, .. }
            | Self::BoolExpr { span, .. }
            | Self::ArithExpr { span, .. }
            | Self::AssignExpr { span, .. }
            | Self::Membership { span, .. } => *span,
        }
    }

    /// The text of a string literal.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::String { value, .. } | Self::RawString { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Comes by this expression and all in it. A reference is come by once, as a whole.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        visit(Node::Expr(self));
        self.walk_inside(visit);
    }

    fn walk_inside<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        match self {
            Self::String { .. }
            | Self::RawString { .. }
            | Self::Number { .. }
            | Self::Bool { .. }
            | Self::Null { .. }
            | Self::Var { .. } => {}
            Self::Array { items, .. } | Self::Set { items, .. } => items.iter().for_each(|item| item.walk(visit)),
            Self::Object { fields, .. } => {
                for (_, key, value) in fields {
                    key.walk(visit);
                    value.walk(visit);
                }
            }
            Self::ArrayCompr { term, query, .. } | Self::SetCompr { term, query, .. } => {
                term.walk(visit);
                query.walk(visit);
            }
            Self::ObjectCompr { key, value, query, .. } => {
                key.walk(visit);
                value.walk(visit);
                query.walk(visit);
            }
            Self::Call { params, .. } => params.iter().for_each(|param| param.walk(visit)),
            Self::UnaryExpr { expr, .. } => expr.walk(visit),
            Self::RefDot { refr, .. } => refr.walk_base(visit),
            Self::RefBrack { refr, index, .. } => {
                refr.walk_base(visit);
                index.walk(visit);
            }
            Self::BinExpr { lhs, rhs, .. }
            | Self::BoolExpr { lhs, rhs, .. }
            | Self::ArithExpr { lhs, rhs, .. }
            | Self::AssignExpr { lhs, rhs, .. } => {
                lhs.walk(visit);
                rhs.walk(visit);
            }
            Self::Membership { key, value, collection, .. } => {
                key.iter().for_each(|key| key.walk(visit));
                value.walk(visit);
                collection.walk(visit);
            }
        }
    }

    /// The shorter references a reference is made of are no references of their own.
    fn walk_base<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        match self {
            Self::Var { .. } | Self::RefDot { .. } | Self::RefBrack { .. } => self.walk_inside(visit),
            other => other.walk(visit),
        }
    }
}

impl Query {
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        for statement in &self.stmts {
            visit(Node::Literal(&statement.literal));
            match &statement.literal {
                Literal::SomeVars { .. } => {}
                Literal::SomeIn { key, value, collection } => {
                    key.iter().for_each(|key| key.walk(visit));
                    value.walk(visit);
                    collection.walk(visit);
                }
                Literal::Expr { expr } | Literal::NotExpr { expr } => expr.walk(visit),
                Literal::Every { domain, query, .. } => {
                    domain.walk(visit);
                    query.walk(visit);
                }
            }
            for with in &statement.with_mods {
                with.refr.walk(visit);
                with.value.walk(visit);
            }
        }
    }
}

impl Definition {
    pub fn span(&self) -> Span {
        match self {
            Self::Spec { span, .. } | Self::Default { span, .. } => *span,
        }
    }

    /// Whether it gives a rule its value where no other definition does.
    pub fn is_default(&self) -> bool {
        matches!(self, Self::Default { .. })
    }

    /// The reference its head defines.
    pub fn head(&self) -> &Expr {
        match self {
            Self::Spec {
                head: Head::Compr { refr, .. } | Head::Set { refr, .. } | Head::Func { refr, .. }, ..
            }
            | Self::Default { refr, .. } => refr,
        }
    }

    /// A function's arguments.
    pub fn args(&self) -> &[Expr] {
        match self {
            Self::Spec { head: Head::Func { args, .. }, .. } | Self::Default { args, .. } => args,
            Self::Spec { .. } => &[],
        }
    }

    /// The value its head assigns.
    pub fn value(&self) -> Option<&Expr> {
        match self {
            Self::Spec { head: Head::Compr { assign, .. } | Head::Func { assign, .. }, .. } => {
                assign.as_ref().map(|assign| &assign.value)
            }
            Self::Spec { head: Head::Set { key, .. }, .. } => key.as_ref(),
            Self::Default { value, .. } => Some(value),
        }
    }

    /// Comes by everything but the name and the arguments.
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        if let Some(value) = self.value() {
            value.walk(visit);
        }
        if let Self::Spec { bodies, .. } = self {
            for body in bodies {
                body.walk(visit);
            }
        }
        // What stands in brackets in a head is computed like a value.
        self.head().walk_inside(visit);
    }
}

impl Body {
    pub fn walk<'a>(&'a self, visit: &mut dyn FnMut(Node<'a>)) {
        if let Some(assign) = &self.assign {
            assign.value.walk(visit);
        }
        self.query.walk(visit);
    }
}
